package disk_test

import (
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/edge/store/purge"
	"nearcast/internal/fsys"
)

// setting is what a story is told on.
type setting struct {
	disks   []disk.Disk
	segment int64
	weak    bool // keys share few hashes
	purges  bool // there is a purge log
}

func (g *setting) tight() bool { return g.weak || g.disks[0].Size < 100*g.segment }

// settingOf returns one of many.
func settingOf(seed uint64) *setting {
	rng := rand.New(rand.NewPCG(seed, 11))
	g := &setting{segment: 16 << 10 << rng.IntN(3), weak: rng.IntN(6) == 0, purges: rng.IntN(3) == 0}
	room := int64(1000)
	if rng.IntN(2) == 0 {
		room = 16 + rng.Int64N(8)
	}
	for _, name := range []string{"/d", "/e", "/f"}[:1+rng.IntN(5)/2] {
		g.disks = append(g.disks, disk.Disk{Path: name, Size: room * g.segment})
	}
	return g
}

// site is what purges are about.
type site struct{}

func (site) Keys(t cdn.Target) []cdn.CacheKey       { return []cdn.CacheKey{t.Key("shop")} }
func (site) Site(cdn.Domain) (cdn.SiteName, bool)   { return "shop", true }
func (site) Loose(cdn.SiteName) (loose purge.Loose) { return loose }

// shop is a store with its purge log.
type shop struct {
	*disk.Store
	log *purge.Log // nil: there is none
}

// openShop opens both. The store need not be warm yet.
func (g *setting) openShop(fs fsys.FS, disks int, now func() time.Time, log *slog.Logger) (s shop, err error) {
	c := disk.Config{Disks: g.disks[:disks], FS: fs, SegmentSize: g.segment, Now: now, Log: log}
	if g.weak {
		c.Hash = func(key string, _ [16]byte) uint64 { return uint64(key[len(key)-1] % 3) }
	}
	if g.purges {
		if s.log, err = purge.Open(purge.Config{Dir: "/p", FS: fs, Log: log}); err != nil {
			return s, err
		}
		if err = s.log.Follow(site{}); err != nil {
			return s, err
		}
		c.Alive = func(o *store.Object) bool { return s.log.Judge(o) != purge.Gone }
	}
	s.Store, err = disk.Open(c)
	return s, err
}

func (s shop) epoch() store.Epoch {
	if s.log == nil {
		return 7
	}
	return s.log.Epoch()
}

func (s shop) shut() error {
	if s.log != nil {
		defer s.log.Close() // what it has is durable
	}
	return s.Close()
}

// story is a life of a store, told to a chronicle.
type story struct {
	*setting
	*chronicle
	t     *testing.T
	rng   *rand.Rand
	fs    fsys.FS
	shop  shop
	disks atomic.Int64 // how many are in use
}

func newStory(t *testing.T, seed uint64, fs fsys.FS) *story {
	t.Helper()
	g := settingOf(seed)
	y := &story{
		setting: g, t: t, rng: rand.New(rand.NewPCG(seed, 12)), fs: fs,
		chronicle: &chronicle{spots: spots(), lossy: g.tight()},
	}
	y.disks.Store(int64(len(g.disks)))
	return y
}

// open opens the store, which may have other disks than before.
func (y *story) open() {
	y.begin()
	if n := 1 + y.rng.IntN(2*len(y.setting.disks)); n <= len(y.setting.disks) && n != int(y.disks.Load()) {
		y.disks.Store(int64(n))
		for _, s := range y.spots { // what was on the others, or comes back empty
			y.happen(s, &happening{vague: true})
		}
	}
	s, err := y.openShop(y.fs, int(y.disks.Load()), time.Now, nil)
	if err != nil {
		y.t.Fatalf("opening again: %v", err)
	}
	y.shop = s
	y.end(true)
	if y.rng.IntN(2) == 0 {
		<-s.Warm()
	}
}

func (y *story) close() {
	y.begin()
	if err := y.shop.shut(); err != nil {
		y.t.Errorf("closing: %v", err)
	}
	y.end(true)
	y.shut()
}

// step does one thing, and lets some time pass or none.
func (y *story) step() {
	s := y.spots[y.rng.IntN(len(y.spots))]
	switch n := y.rng.IntN(200); {
	case n < 100:
		y.put(s)
	case n < 112:
		y.begin()
		y.happen(s, &happening{})
		y.shop.Forget(s.lookup())
		y.end(true)
	case n < 120:
		y.deleteAll(s)
	case n < 135:
		y.refresh(s)
	case n < 145 && y.purges:
		y.purge(s)
	case n < 196:
		y.get(s)
	case n < 197:
		y.begin()
		for _, s := range y.spots {
			y.happen(s, &happening{final: true})
		}
		y.shop.Clear()
		y.end(true)
	default:
		y.close()
		y.open()
	}
	switch y.rng.IntN(8) {
	case 0, 1, 2:
		<-time.After(time.Duration(y.rng.IntN(400)) * time.Millisecond)
	case 3, 4:
		synctest.Wait()
	}
}

func (y *story) put(s *spot) {
	size := y.rng.IntN(3000)
	if y.rng.IntN(6) == 0 {
		size = y.rng.IntN(int(y.segment) * 2 / 3)
	}
	y.begin()
	e := y.publish(edition{spot: s, size: size, life: lifetime(max(0, y.rng.IntN(5)-2)), at: time.Now(), born: y.shop.epoch()}, nil)
	y.happen(s, &happening{edition: e})
	y.end(y.shop.Put(e.object(), accepting(s.coding)))
}

func (y *story) deleteAll(s *spot) {
	y.begin()
	for _, other := range y.spots {
		if other.key == s.key {
			y.happen(other, &happening{sudden: true})
		}
	}
	y.shop.Delete(s.key)
	y.end(true)
}

func (y *story) refresh(s *spot) {
	old := y.get(s)
	if old == nil {
		return
	}
	was, err := y.recognise(s, old)
	if err != nil {
		return // it has been reported
	}
	y.begin()
	e := y.publish(edition{spot: s, life: lifetime(y.rng.IntN(2)), at: time.Now(), born: y.shop.epoch()}, was)
	y.happen(s, &happening{edition: e})
	y.end(y.shop.Refresh(old, e.object().Response, e.born))
}

func (y *story) purge(s *spot) {
	y.begin()
	for _, other := range y.spots {
		if other.key == s.key {
			y.happen(other, &happening{final: true})
		}
	}
	t, err := cdn.ParseTarget("http://" + string(s.key[len("shop http://"):]))
	if err == nil {
		_, err = y.shop.log.Apply(cdn.Purge{Targets: []cdn.Target{t}, At: time.Now(), Revision: cdn.Revision(y.begun)}) //nolint:gosec // never negative
	}
	if err != nil {
		y.t.Errorf("purging: %v", err)
	}
	y.end(err == nil)
}

// get asks the living store.
func (y *story) get(s *spot) *store.Object {
	now := y.look()
	now.live = true
	o, _ := y.shop.Get(s.lookup())
	y.done(&now)
	// Before all is known, nothing may be found of what is there.
	if _, err := y.judge(s, o, &now); err != nil && (o != nil || y.shop.Stats().Warm) {
		y.t.Errorf("of the living store: %v; %+v", err, y.shop.Stats().Disks)
	}
	return o
}
