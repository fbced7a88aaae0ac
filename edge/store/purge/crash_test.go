package purge_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/purge"
	"nearcast/internal/fsys"
)

// witness is an object that was stored before something that covers it was purged.
type witness struct {
	o    *store.Object
	kept bool // the purge was accepted: it must hold after a power cut, and not only after the end of the process
}

// story is a workload and what must hold after it.
type story struct {
	t         *testing.T
	log       *purge.Log
	witnesses []witness
	rng       *rand.Rand
}

// step purges or invalidates something.
func (s *story) step(i int) {
	u := fmt.Sprint("http://a.example/", i, "/x")
	o := object(s.log, "shop", u, fmt.Sprint("t", i))
	o.Memo = nil
	var p cdn.Purge
	switch s.rng.IntN(6) {
	case 0:
		epoch, err := s.log.Invalidate(o.Key)
		kept := err == nil && s.rng.IntN(2) == 0 && s.log.Commit(s.t.Context(), epoch) == nil
		s.witnesses = append(s.witnesses, witness{o, kept})
		if err == nil {
			return
		}
	case 1:
		p = dir("a.example", fmt.Sprint("/", i, "/"))
	case 2:
		p = tag(fmt.Sprint("t", i))
	case 3:
		p = expr("", fmt.Sprint("^/", i, "/"))
	case 4:
		p = urls(u, fmt.Sprint("http://a.example/", i, "/y"))
	default:
		p = urls(u)
	}
	p.Revision = cdn.Revision(i + 1)
	_, err := s.log.Apply(p)
	s.witnesses = append(s.witnesses, witness{o, err == nil})
	if v := s.log.Judge(o); v != purge.Gone {
		s.t.Fatalf("step %d: %s at once, although the purge is in force (%v)", i, v, err)
	}
}

// check opens what is left and looks at the witnesses of the steps that were over.
func (s *story) check(when string, left fsys.FS, over int, power bool, fresh *store.Object) {
	s.t.Helper()
	l, err := purge.Open(purge.Config{Dir: "/state", FS: left, Entries: 40})
	if err != nil {
		s.t.Fatalf("%s: %v", when, err)
	}
	defer l.Close()
	if err := l.Follow(shop()); err != nil {
		s.t.Fatalf("%s: %v", when, err)
	}
	for i, w := range s.witnesses[:over] {
		if v := l.Judge(w.o); v != purge.Gone && (w.kept || !power) {
			s.t.Fatalf("%s: the object of step %d is %s", when, i, v)
		}
	}
	if fresh != nil {
		if v := l.Judge(fresh); v != purge.Good {
			s.t.Fatalf("%s: an object that nothing covers is %s", when, v)
		}
	}
	next := object(l, "shop", "http://a.example/next")
	if next.Born <= s.witnesses[over-1].o.Born && next.Born>>40 == s.witnesses[over-1].o.Born>>40 {
		s.t.Fatalf("%s: an epoch is given out again", when)
	}
}

// TestCrashes cuts the power, or kills the process, before every call of the file system: what was accepted holds, and what is not
// covered stays good.
func TestCrashes(t *testing.T) {
	mem := fsys.NewMem(fsys.MemConfig{})
	s := &story{t: t, rng: rand.New(rand.NewPCG(1, 2))}
	seed := uint64(0)
	type cut struct {
		left  fsys.FS
		power bool
	}
	var cuts []cut
	faulty := fsys.NewFaulty(mem, fsys.Plan{Faults: []fsys.Fault{{Times: -1, On: func(fsys.Call) bool {
		for range 2 {
			seed++
			cuts = append(cuts, cut{mem.Crash(rand.New(rand.NewPCG(seed, 7))), true})
		}
		cuts = append(cuts, cut{mem.Kill(), false})
		return false
	}}}})
	s.log = open(t, purge.Config{Dir: "/state", FS: faulty, Entries: 40}, shop())
	cuts = nil // nothing was promised before
	all := 0
	for i := range 150 {
		before := len(s.witnesses)
		// It is covered by what has become too old to be remembered singly only if it is older than that.
		fresh := object(s.log, "shop", "http://a.example/fresh")
		fresh.Memo = nil
		s.step(i)
		for _, c := range cuts {
			if before > 0 {
				s.check(fmt.Sprintf("step %d, power cut %v", i, c.power), c.left, before, c.power, fresh)
			}
		}
		all += len(cuts)
		cuts = cuts[:0]
	}
	if all < 500 {
		t.Errorf("only %d cuts", all)
	}
	t.Logf("%d cuts", all)
}

// TestFaults: whatever fails, a purge is in force at once, and one that was accepted holds after a power cut.
func TestFaults(t *testing.T) {
	for _, op := range []fsys.Op{fsys.OpWriteAt, fsys.OpSync, fsys.OpCreate, fsys.OpRename, fsys.OpSyncDir, fsys.OpRemove, fsys.OpReadAt} {
		for _, err := range []error{syscall.EIO, syscall.ENOSPC} {
			t.Run(fmt.Sprint(op, err), func(t *testing.T) {
				mem := fsys.NewMem(fsys.MemConfig{})
				faulty := fsys.NewFaulty(mem, fsys.Plan{})
				s := &story{t: t, rng: rand.New(rand.NewPCG(3, 4))}
				s.log = open(t, purge.Config{Dir: "/state", FS: faulty, Entries: 40}, shop())
				for i := range 120 {
					if i%10 == 3 {
						faulty.Inject(fsys.Fault{
							Err: err, Short: 5, Skip: s.rng.IntN(3), Times: 1 + s.rng.IntN(3),
							On: func(c fsys.Call) bool { return c.Op == op || op != fsys.OpSync && c.Op == fsys.OpSync && i%20 == 3 },
						})
					}
					s.step(i)
					if i%10 == 8 {
						faulty.Heal()
					}
					for range 3 {
						left := mem.Crash(rand.New(rand.NewPCG(uint64(i), s.rng.Uint64())))
						s.check(fmt.Sprint("after step ", i), left, len(s.witnesses), true, nil)
					}
				}
				faulty.Heal()
				s.step(120)
				if !s.witnesses[len(s.witnesses)-1].kept && s.log.Stats().Failures == 0 {
					t.Error("nothing has failed, and nothing was kept")
				}
			})
		}
	}
}

// written returns the file of a log with a few purges, and an object that each of them covers.
func written(t testing.TB) (file []byte, objects []*store.Object, fresh *store.Object) {
	t.Helper()
	path := t.TempDir()
	l := open(t, purge.Config{Dir: path}, shop())
	for i, p := range []cdn.Purge{
		urls("http://a.example/0", "http://a.example/00?x=y"), dir("a.example", "/1/"), tag("x2"), expr("b.example", "/3"), urls("http://a.example/4"), whole("blog"),
	} {
		site, domain := cdn.SiteName("shop"), "a"
		switch i {
		case 3:
			domain = "b"
		case 5:
			site, domain = "blog", "c"
		}
		u := fmt.Sprintf("http://%s.example/%d", domain, i)
		if i == 1 {
			u += "/"
		}
		objects = append(objects, object(l, site, u, fmt.Sprint("x", i)))
		apply(t, l, p)
	}
	fresh = object(l, "shop", "http://a.example/fresh")
	l.Close()
	file, err := os.ReadFile(filepath.Join(path, "purges"))
	if err != nil {
		t.Fatal(err)
	}
	return file, objects, fresh
}

// holding returns a file system with a log of these octets.
func holding(t testing.TB, file []byte) fsys.FS {
	t.Helper()
	mem := fsys.NewMem(fsys.MemConfig{Safe: true})
	err := mem.MkdirAll("/state")
	if err == nil {
		var f fsys.File
		if f, err = mem.Create("/state/purges", 0); err == nil {
			_, err = f.WriteAt(file, 0)
			f.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return mem
}

// judged opens a log of these octets and returns what it says of objects, "0" to "2" each, and whether it had to begin anew.
func judged(t testing.TB, file []byte, objects ...*store.Object) (verdicts string, anew bool) {
	t.Helper()
	l, err := purge.Open(purge.Config{Dir: "/state", FS: holding(t, file)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Follow(shop()); err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		o.Memo = nil
		verdicts += fmt.Sprint(int(l.Judge(o)))
	}
	return verdicts, l.Stats().Damaged > 0
}

// TestTornTail: what was being written when the machine died is cut off, and what was there before stays.
func TestTornTail(t *testing.T) {
	file, objects, fresh := written(t)
	last := bytes.LastIndex(file, []byte("NCPL"))
	// As the machine left it: the mark is that of the sync before.
	binary.LittleEndian.PutUint64(file[80:], uint64(last))
	binary.LittleEndian.PutUint32(file[52:], crc32.Checksum(file[56:96], crc32.MakeTable(crc32.Castagnoli)))
	for n := last + 1; n < len(file); n++ {
		v, anew := judged(t, file[:n], append(objects, fresh)...)
		if v != "2222200" || anew {
			t.Errorf("cut after %d of %d octets: %s, begun anew %v", n, len(file), v, anew)
		}
		zeros := append(bytes.Clone(file[:n]), make([]byte, len(file)-n+100)...)
		if v, anew := judged(t, zeros, append(objects, fresh)...); v[:5] != "22222" || anew {
			t.Errorf("zeros after %d of %d octets: %s, begun anew %v", n, len(file), v, anew)
		}
	}
}

// TestDamage: whatever bit of a log is wrong, nothing is served that was purged.
func TestDamage(t *testing.T) {
	file, objects, _ := written(t)
	for bit := range len(file) * 8 {
		bad := bytes.Clone(file)
		bad[bit/8] ^= 1 << (bit % 8)
		if v, _ := judged(t, bad, objects...); v != "222222" {
			t.Errorf("bit %d of octet %d of %d flipped: %s", bit%8, bit/8, len(file), v)
		}
	}
	for n := range file { // all of it was durable
		if v, _ := judged(t, file[:n], objects...); v != "222222" {
			t.Errorf("cut to %d of %d octets: %s", n, len(file), v)
		}
	}
	for _, bad := range [][]byte{[]byte("x"), make([]byte, 100), file[8:], bytes.Repeat(file, 2)} {
		if v, _ := judged(t, bad, objects...); v != "222222" {
			t.Errorf("%d octets: %s", len(bad), v)
		}
	}
}

// TestMissing: without the file nobody knows what was purged.
func TestMissing(t *testing.T) {
	_, objects, fresh := written(t)
	l := open(t, purge.Config{Dir: t.TempDir()}, shop())
	for _, o := range append(objects, fresh) {
		o.Memo = nil
		if v := l.Judge(o); v != purge.Gone {
			t.Errorf("%s is %s", o.Key, v)
		}
	}
}

// TestUnreadable: a directory that cannot be used is an error: what was purged would be lost with the next restart.
func TestUnreadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, fs.ModePerm); err != nil {
		t.Fatal(err)
	}
	if _, err := purge.Open(purge.Config{Dir: filepath.Join(path, "x")}); err == nil {
		t.Error("no error")
	}
}

func FuzzLog(f *testing.F) {
	file, _, _ := written(f)
	f.Add(file)
	f.Add(file[:len(file)-9])
	f.Add(append(bytes.Clone(file[:200]), file[208:]...))
	f.Fuzz(func(t *testing.T, file []byte) {
		o := &store.Object{Key: "shop http://a.example/1/x?y", URL: "b.example/1/x?y", Tags: []uint64{1, 2}}
		judged(t, file, o)
		// What it makes of it is a log that it understands.
		left := holding(t, file)
		l, err := purge.Open(purge.Config{Dir: "/state", FS: left})
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		l, err = purge.Open(purge.Config{Dir: "/state", FS: left})
		if err != nil || l.Stats().Damaged > 0 {
			t.Fatalf("opened again: %v, %+v", err, l.Stats())
		}
		l.Close()
	})
}

// TestDeadDisk: with a disk that takes nothing for long, memory is bounded, every purge is in force, and a restart finds no log; when the
// disk is back, nothing that was purged comes back.
func TestDeadDisk(t *testing.T) {
	mem := fsys.NewMem(fsys.MemConfig{Safe: true})
	faulty := fsys.NewFaulty(mem, fsys.Plan{})
	cfg := purge.Config{Dir: "/state", FS: faulty}
	l := open(t, cfg, shop())
	early := object(l, "shop", "http://a.example/early")
	apply(t, l, urls("http://a.example/early"))
	faulty.Inject(fsys.Fault{Err: syscall.EIO, Times: -1, On: func(c fsys.Call) bool { return c.Op == fsys.OpWriteAt || c.Op == fsys.OpSync }})
	during := object(l, "shop", "http://a.example/during")
	failed := 0
	for i := range 1<<16 + 100 {
		u := "http://a.example/x"
		if i == 50 {
			u = "http://a.example/during"
		}
		if _, err := l.Apply(urls(u)); err != nil {
			failed++
		}
	}
	if failed == 0 || l.Judge(early) != purge.Gone || l.Judge(during) != purge.Gone {
		t.Errorf("%d failures, %s, %s", failed, l.Judge(early), l.Judge(during))
	}
	check := func(when string) {
		t.Helper()
		again := open(t, purge.Config{Dir: "/state", FS: mem.Kill()}, shop())
		for _, o := range []*store.Object{early, during} {
			o.Memo = nil
			if v := again.Judge(o); v != purge.Gone {
				t.Errorf("%s: %s is %s", when, o.Key, v)
			}
		}
	}
	check("dead")
	faulty.Heal()
	ok := false
	for range 70 { // it does not try each time
		_, err := l.Apply(urls("http://a.example/back"))
		ok = err == nil
	}
	if !ok {
		t.Error("the disk is back, and nothing is written")
	}
	check("back")
}
