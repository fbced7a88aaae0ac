package disk_test

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/internal/fsys"
)

// cutPoints is how many calls of the file system the power is cut and the process killed after: by default some that take seconds.
func cutPoints() *int {
	return flag.Int("cuts", 800, "after how many system calls TestCuts cuts the power and kills the process")
}

var cuts = cutPoints()

// cut is a store that was cut off.
type cut struct {
	*story
	instant
	fs    *fsys.Mem
	disks int
	call  fsys.Call
	seed  uint64
	log   journal
}

// TestCuts: whenever the power is cut or the process killed, after whatever call of the file system, each object is whole and right, and one that
// was stored under its key, variant and selecting fields; or it is not there. After Clear or a purge has returned nothing
// that it covers is there. After a Close everything is as it was then.
//
// When a process is killed, nothing is lost that was stored longer ago than half a second and has not been replaced since, and nothing comes back that was replaced or
// forgotten longer ago, or deleted; after a power cut what was stored since the last Close may be missing, or older.
func TestCuts(t *testing.T) {
	var points, ends atomic.Int64
	jobs := make(chan *cut)
	var judges sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) {
		judges.Go(func() {
			for c := range jobs {
				if t.Failed() {
					continue
				}
				ends.Add(1)
				if err := c.check(); err != nil {
					t.Errorf("story %d, power cut %v, after call %+v at %v:\n%v\nsetting %+v of %d disks, %d operations begun, %d ended, the last before %d durable\n%s",
						c.seed, c.power, c.call, c.at.Format("05.000"), err, *c.setting, c.disks, c.begun, c.ended, c.closed, c.log.b.String())
				}
			}
		})
	}
	for seed := uint64(0); points.Load() < int64(*cuts) && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) { tell(t, seed, &points, jobs) })
	}
	close(jobs)
	judges.Wait()
	t.Logf("%d calls, %d ends", points.Load(), ends.Load())
}

// changes reports whether a call changes anything.
func changes(op fsys.Op) bool {
	switch op {
	case fsys.OpCreate, fsys.OpRemove, fsys.OpRename, fsys.OpMkdirAll, fsys.OpSyncDir, fsys.OpWriteAt, fsys.OpSync:
		return true
	default:
		return false
	}
}

// tell tells a story, and cuts it off after each call that changes something.
func tell(t *testing.T, seed uint64, points *atomic.Int64, jobs chan<- *cut) {
	t.Helper()
	m := fsys.NewMem(fsys.MemConfig{})
	var y *story
	var on atomic.Bool
	y = newStory(t, seed, fsys.NewFaulty(m, fsys.Plan{After: func(c fsys.Call, _ error) {
		if !changes(c.Op) || !on.Load() || points.Load() >= int64(*cuts) {
			return
		}
		points.Add(1)
		for _, power := range []bool{false, true} {
			end := &cut{story: y, call: c, seed: seed, disks: int(y.disks.Load())}
			end.instant = y.look()
			end.power = power
			if power {
				end.fs = m.Crash(rand.New(rand.NewPCG(seed, c.N)))
			} else {
				end.fs = m.Kill()
			}
			y.done(&end.instant)
			jobs <- end
		}
	}}))
	on.Store(!y.purges) // before the purge log has been made for the first time there is nothing to purge
	y.open()
	on.Store(true)
	for i := 0; i < 400 && !t.Failed() && points.Load() < int64(*cuts); i++ {
		y.step()
	}
	y.close()
}

// check opens what is left, looks at everything, and uses it.
func (c *cut) check() error {
	rng := rand.New(rand.NewPCG(c.seed, c.call.N))
	if rng.IntN(4) == 0 {
		if err := c.again(rng); err != nil {
			return err
		}
	}
	found, err := c.first(c.fs, rng)
	if err != nil {
		return err
	}
	if err := c.second(found); err != nil {
		return fmt.Errorf("opened once more: %w", err)
	}
	return nil
}

func (c *cut) now() time.Time { return c.at }

// alarms is a log of what a test that fails has to tell.
func (c *cut) alarms() *slog.Logger {
	return slog.New(slog.NewTextHandler(&c.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// again opens what is left, ends that in the midst of it too, and looks at what is left then.
func (c *cut) again(rng *rand.Rand) error {
	at, power := uint64(1+rng.IntN(60)), rng.IntN(2) == 0
	base := c.fs.Kill()
	var mu sync.Mutex
	var left *fsys.Mem
	s, err := c.openShop(fsys.NewFaulty(base, fsys.Plan{After: func(call fsys.Call, _ error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case call.N < at || left != nil || !changes(call.Op):
		case power:
			left = base.Crash(rng)
		default:
			left = base.Kill()
		}
	}}), c.disks, c.now, c.alarms())
	if err != nil {
		return err
	}
	<-s.Warm()
	if err := s.shut(); err != nil {
		return err
	}
	if left == nil {
		return nil
	}
	second := &cut{story: c.story, instant: c.instant, disks: c.disks, call: c.call, seed: c.seed}
	second.power = c.power || power
	_, err = second.first(left, rng)
	if err != nil {
		err = fmt.Errorf("ended again in call %d, power cut %v: %w", at, power, err)
	}
	return err
}

// first opens what is left and judges it, and puts something into it. It returns which editions there are at the end.
func (c *cut) first(fs *fsys.Mem, rng *rand.Rand) (found map[*spot]int, err error) {
	s, err := c.openShop(fs, c.disks, c.now, c.alarms())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.shut()) }()
	fresh := c.spots[rng.IntN(len(c.spots))]
	early := rng.IntN(2) == 0
	if early {
		found, err = c.renew(s, fresh)
	}
	<-s.Warm()
	if err != nil {
		return nil, err
	}
	latest := found[fresh]
	found = make(map[*spot]int)
	for _, spot := range c.spots {
		o, _ := s.Get(spot.lookup())
		if early && spot == fresh {
			e, err := c.recognise(spot, o)
			if err != nil || e.version != latest {
				return nil, fmt.Errorf("what was put at the start is not there: %w", err)
			}
			found[spot] = latest
			continue
		}
		if found[spot], err = c.judge(spot, o, &c.instant); err != nil {
			return nil, err
		}
	}
	if !early {
		more, err := c.renew(s, fresh)
		if err != nil {
			return nil, err
		}
		found[fresh] = more[fresh]
	}
	for _, d := range s.Stats().Disks {
		if d.Failed != "" || d.Errors > 0 || d.LostTombstones > 0 && !c.lossy || d.Unindexed > 0 || !c.power && d.Damaged > 0 {
			return nil, fmt.Errorf("it is not in order: %+v", d)
		}
	}
	return found, nil
}

// renew puts something into the store that is left.
func (c *cut) renew(s shop, at *spot) (map[*spot]int, error) {
	e := c.publish(edition{spot: at, size: 1000, at: c.at, born: s.epoch()}, nil)
	for range 20 { // the machine may be slow
		if s.Put(e.object(), accepting(at.coding)) {
			o, _ := s.Get(at.lookup())
			if o == nil {
				return nil, fmt.Errorf("%v: nothing just after it was put", at)
			}
			_, err := c.recognise(at, o)
			return map[*spot]int{at: e.version}, err
		}
	}
	return nil, fmt.Errorf("%v: nothing is taken any more: %+v", at, s.Stats().Disks)
}

// second opens it once more after it was closed: everything is as it was.
func (c *cut) second(found map[*spot]int) error {
	s, err := c.openShop(c.fs, c.disks, c.now, c.alarms())
	if err != nil {
		return err
	}
	<-s.Warm()
	for _, spot := range c.spots {
		o, _ := s.Get(spot.lookup())
		switch {
		case o == nil && (found[spot] < 0 || c.lossy):
			continue
		case o == nil:
			err = fmt.Errorf("%v: nothing, want edition %d", spot, found[spot])
		default:
			var e *edition
			if e, err = c.recognise(spot, o); err == nil && e.version != found[spot] {
				err = fmt.Errorf("%v: edition %d, want %d", spot, e.version, found[spot])
			}
		}
		if err != nil {
			break
		}
	}
	return errors.Join(err, s.shut())
}
