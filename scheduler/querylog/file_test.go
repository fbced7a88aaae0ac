package querylog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/scheduler/querylog"
)

const limit = 4096

// line is an entry that is told from others, of a length that is known: 40 of them fill a file.
func line(n int) querylog.Entry {
	e := querylog.Entry{Name: fmt.Sprintf("%06d.", n)}
	b, _ := json.Marshal(&e)
	e.Path = strings.Repeat("x", limit/40-len(b)-len(`,"path":""`)-1)
	return e
}

// running is a rig whose log runs, in a bubble of synctest.
type running struct {
	*rig

	t    *testing.T // of the bubble
	next int        // number of the next line
}

// run runs do beside a log.
func run(t *testing.T, path string, do func(r *running)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &running{rig: openSized(t, path, 1, limit), t: t}
		done := make(chan struct{})
		stop := make(chan struct{})
		go func() {
			defer close(done)
			r.until(t, stop)
		}()
		do(r)
		close(stop)
		<-done
	})
}

// add logs lines and waits until they are written, or lost.
func (r *running) add(n int) {
	for range n {
		r.Add(line(r.next))
		r.next++
	}
	synctest.Wait()
}

func (r *running) wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// numbers are those of the lines in a file; none if there is no file. All are whole lines, or the test fails.
func numbers(t *testing.T, path string) (all []int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > limit {
		t.Errorf("%s has %d octets", filepath.Base(path), len(text))
	}
	for l := range strings.Lines(string(text)) {
		var e querylog.Entry
		n := 0
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatalf("%s: %q: %v", filepath.Base(path), l, err)
		}
		if _, err := fmt.Sscanf(e.Name, "%06d.", &n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// from are n numbers.
func from(first, n int) (all []int) {
	for i := range n {
		all = append(all, first+i)
	}
	return all
}

func expect(t *testing.T, what, path string, want []int) {
	t.Helper()
	if got := numbers(t, path); !slices.Equal(got, want) {
		t.Errorf("%s: %s has the lines %d, want %d", what, filepath.Base(path), got, want)
	}
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// A file that is full is kept as FILE.1, in place of the one before; no line is lost in between, and none is in two files. Who might read it may go on.
func TestSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries")
	run(t, path, func(r *running) {
		t := r.t
		do(t, os.Chmod(path, 0o600))
		r.wait(2 * time.Second)
		for _, step := range []struct {
			add       int
			now, kept []int
		}{
			{40, from(0, 40), nil},
			{1, from(40, 1), from(0, 40)},
			{39, from(40, 40), from(0, 40)},
			{0, from(40, 40), from(0, 40)},
			{2, from(80, 2), from(40, 40)},
			{38, from(80, 40), from(40, 40)},
			{50, from(160, 10), from(120, 40)},
		} {
			r.add(step.add)
			expect(t, fmt.Sprint(r.next), path, step.now)
			expect(t, fmt.Sprint(r.next), path+".1", step.kept)
		}
		if n, lost := r.count(t, "lines_total"), r.count(t, "dropped_total"); n != 170 || lost != 0 {
			t.Errorf("%g lines counted and %g lost, want 170 and none", n, lost)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v: want the mode that the file before had", info.Mode(), err)
		}
	})
}

// A file that was there counts, as does one without a bound not.
func TestSizeAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries")
	do(t, os.WriteFile(path, make([]byte, 2*limit), 0o600))
	run(t, path, func(r *running) {
		t := r.t
		r.add(1)
		expect(t, "behind a long one", path, from(0, 1))
	})
	if info, err := os.Stat(path + ".1"); err != nil || info.Size() != 2*limit {
		t.Errorf("the long one: %v, %v", info, err)
	}
	path = filepath.Join(t.TempDir(), "queries")
	r := open(t, path, 1)
	for n := range 200 {
		r.Add(line(n))
	}
	r.end(t)
	if n := len(r.lines(t)); n != 200 {
		t.Errorf("without a bound %d lines, want 200", n)
	}
	if _, err := os.Stat(path + ".1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a bound: %v", err)
	}
}

// A file that ends within a line, because the disk was full or the machine went down, does not take the next line with it.
func TestTornAtTheStart(t *testing.T) {
	for text, want := range map[string]string{"": "", "whole\n": "whole\n", "whole\n{\"at\":\"20": "whole\n{\"at\":\"20\n"} {
		path := filepath.Join(t.TempDir(), "queries")
		do(t, os.WriteFile(path, []byte(text), 0o600))
		r := open(t, path, 1)
		r.Add(line(7))
		r.end(t)
		now, err := os.ReadFile(path)
		rest, ok := strings.CutPrefix(string(now), want+"{")
		if err != nil || !ok || strings.Count(rest, "\n") != 1 {
			t.Errorf("behind %q: %q, %v", text, now, err)
		}
	}
}

// What others do to the file is noticed within a second: who moves it away gets what was written until then, and what comes then is in a new one.
func TestMovedAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries")
	run(t, path, func(r *running) {
		t := r.t
		r.add(3)
		do(t, os.Rename(path, path+"-2026"))
		r.add(2)
		expect(t, "at once", path+"-2026", from(0, 5))
		r.wait(time.Second)
		r.add(4)
		expect(t, "a second later", path+"-2026", from(0, 5))
		expect(t, "a second later", path, from(5, 4))

		do(t, os.Rename(path, path+"-2027"), os.WriteFile(path, nil, 0o600)) // as logrotate's create does
		r.wait(time.Second)
		r.add(2)
		expect(t, "another is there", path, from(9, 2))

		do(t, os.Remove(path))
		r.wait(time.Second)
		r.add(1)
		expect(t, "removed", path, from(11, 1))

		r.add(38)
		do(t, os.Truncate(path, 0)) // as copytruncate does
		r.wait(time.Second)
		r.add(40)
		expect(t, "cut short", path, from(50, 40))

		// Somebody has moved the file away since it was last looked at: the other one, which has room, is not renamed.
		do(t, os.Rename(path, path+"-2028"), os.WriteFile(path, nil, 0o600))
		r.add(1)
		expect(t, "moved when it is full", path, from(90, 1))
		expect(t, "moved when it is full", path+"-2028", from(50, 40))
		if _, err := os.Stat(path + ".1"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("moved when it is full: the other one is renamed: %v", err)
		}
		if lost := r.count(t, "dropped_total"); lost != 0 {
			t.Errorf("%g lines lost", lost)
		}
	})
}

// A file that cannot be renamed stays within its bound: lines are lost, and counted. That is said once, and ends by itself.
func TestNotRenamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries")
	in := filepath.Join(path+".1", "way") // a file cannot take the place of a folder that has something
	do(t, os.Mkdir(path+".1", 0o700), os.WriteFile(in, nil, 0o600))
	run(t, path, func(r *running) {
		t := r.t
		r.add(50)
		expect(t, "full", path, from(0, 40))
		r.wait(time.Second)
		r.add(5)
		expect(t, "still full", path, from(0, 40))
		if lost := r.count(t, "dropped_total"); lost != 15 {
			t.Errorf("%g lines lost, want 15", lost)
		}
		if n := strings.Count(r.said.String(), "cannot be renamed so that another begins"); n != 1 {
			t.Errorf("said %d times: %s", n, r.said.String())
		}
		do(t, os.RemoveAll(path+".1"))
		r.wait(time.Second)
		r.add(5)
		expect(t, "mended", path, from(55, 5))
		expect(t, "mended", path+".1", from(0, 40))
		if n, lost := r.count(t, "lines_total"), r.count(t, "dropped_total"); n != 45 || lost != 15 {
			t.Errorf("%g lines counted and %g lost, want 45 and 15", n, lost)
		}
	})
}

// When the folder goes away, lines go on into the file that nobody sees, until another can be begun; then those are lost that cannot be written.
func TestFolderGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	path := filepath.Join(dir, "queries")
	do(t, os.Mkdir(dir, 0o700))
	run(t, path, func(r *running) {
		t := r.t
		r.add(1)
		do(t, os.Rename(dir, dir+"-away"))
		r.wait(time.Second)
		r.add(3)
		if lost := r.count(t, "dropped_total"); lost != 3 {
			t.Errorf("%g lines lost, want 3", lost)
		}
		do(t, os.Mkdir(dir, 0o700))
		r.wait(time.Second)
		r.add(2)
		expect(t, "there again", path, from(4, 2))
	})
}

// A link stays a link: what it leads to is what is bounded.
func TestLink(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	path, target := filepath.Join(dir, "queries"), filepath.Join(elsewhere, "target")
	do(t, os.Symlink(target, path))
	run(t, path, func(r *running) {
		t := r.t
		r.add(85)
		expect(t, "behind the link", target, from(80, 5))
		expect(t, "behind the link", target+".1", from(40, 40))
	})
	if to, err := os.Readlink(path); err != nil || to != target {
		t.Errorf("the link leads to %q: %v", to, err)
	}
}

// What is no file, such as a pipe to another program, is never renamed.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	do(t, syscall.Mkfifo(path, 0o600))
	reader, err := os.OpenFile(path, os.O_RDWR, 0) // with room for all that is written
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	run(t, path, func(r *running) {
		t := r.t
		r.add(50)
		r.wait(2 * time.Second)
		r.add(50)
		if n := r.count(t, "lines_total"); n != 100 {
			t.Errorf("%g lines counted, want 100", n)
		}
	})
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("%v, %v", info, err)
	}
}

// On a disk that is full lines are lost, and counted; that is said once. One of which a part was written does not spoil the next that has room.
func TestFullDisk(t *testing.T) {
	const child = "NEARCAST_TEST_FULL_DISK"
	if path := os.Getenv(child); path != "" {
		fillDisk(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "queries")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$") // what bounds its files would bound those of the other tests
	cmd.Env = append(os.Environ(), child+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 6 || json.Valid([]byte(lines[3])) {
		t.Fatalf("%d lines, want 3, a part of one, and 2:\n%s", len(lines), text)
	}
	for i, l := range slices.Delete(lines, 3, 4) {
		if !json.Valid([]byte(l)) {
			t.Errorf("line %d is %q", i, l)
		}
	}
}

// fillDisk has a log run whose file ends within the fourth line: writing fails with EFBIG as it does with ENOSPC.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	var before syscall.Rlimit
	do(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	run(t, path, func(r *running) {
		t := r.t
		full := before
		full.Cur = 3*limit/40 + limit/80
		do(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full))
		r.add(10)
		r.wait(3 * time.Second)
		do(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))
		r.add(2)
		if n, lost := r.count(t, "lines_total"), r.count(t, "dropped_total"); n != 5 || lost != 7 {
			t.Errorf("%g lines counted and %g lost, want 5 and 7", n, lost)
		}
		if n := strings.Count(r.said.String(), "cannot be written"); n != 1 {
			t.Errorf("said %d times: %s", n, r.said.String())
		}
	})
}
