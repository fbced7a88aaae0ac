package load

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The real process has used processor time and memory, and its disks can be read or are left out.
func TestProcess(t *testing.T) {
	p := NewProcess(t.TempDir())
	for i, spin := 0, time.Now(); time.Since(spin) < 20*time.Millisecond; i++ {
		_ = fmt.Sprint(i)
	}
	cpu, err := p.CPU()
	if err != nil || cpu < 5*time.Millisecond {
		t.Errorf("processor time %v, %v", cpu, err)
	}
	memory, err := p.Memory()
	if err != nil || memory < 1<<20 || memory > 1<<40 {
		t.Errorf("memory %d, %v", memory, err)
	}
	if disks, err := p.Disks(); err != nil || len(disks) > 1 {
		t.Errorf("disks %v, %v", disks, err)
	}
}

// proc is a procfs of a test's.
type proc struct {
	t   *testing.T
	dir string
	dev string // the device of the test's directory
}

func newProc(t *testing.T) (proc, *Process) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "self"), 0o700); err != nil {
		t.Fatal(err)
	}
	dev, err := deviceOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return proc{t, dir, dev}, newProcess(dir, []string{dir, filepath.Join(dir, "self")})
}

func (p proc) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// say says how long the disk has been busy, and how many MiB it and the process have moved.
func (p proc) say(busy time.Duration, all, own int) {
	p.t.Helper()
	var major, minor int
	if _, err := fmt.Sscanf(p.dev, "%d:%d", &major, &minor); err != nil {
		p.t.Fatal(err)
	}
	p.write("diskstats", fmt.Sprintf("   7 99 loop99 1 0 8 1 0 0 0 0 0 999999 1\n %3d %7d vda 10 0 %d 5 10 0 %d 5 0 %d 77 0 0 0 0 0 0\n",
		major, minor, all*1024, all*1024, busy.Milliseconds()))
	p.write("self/io", fmt.Sprintf("rchar: 1\nwchar: 2\nread_bytes: %d\nwrite_bytes: %d\ncancelled_write_bytes: 5\n", own<<19, own<<19))
}

// A disk that is busy for others is not busy for this process, and two directories on it are one disk.
func TestDisks(t *testing.T) {
	for _, test := range []struct {
		name     string
		all, own int // MiB a second
		want     time.Duration
	}{
		{"alone", 10, 10, 500 * time.Millisecond},
		{"half", 10, 5, 250 * time.Millisecond},
		{"idle beside others", 10, 0, 0},
		{"more than the disk, into the page cache", 10, 50, 500 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			files, p := newProc(t)
			last := time.Duration(0)
			for second := range 5 {
				files.say(time.Duration(second)*500*time.Millisecond, second*test.all, second*test.own)
				all, err := p.Disks()
				if err != nil || len(all) != 1 {
					t.Fatalf("disks %v, %v, want one", all, err)
				}
				if got := all[0] - last; second > 0 && got != test.want {
					t.Errorf("second %d: busy for %v, want %v", second, got, test.want)
				}
				last = all[0]
			}
		})
	}
}

// Whatever is in the kernel's files, there is an error or a number.
func TestBadFiles(t *testing.T) {
	for _, test := range []struct{ name, file, text string }{
		{"no number", "diskstats", "1 1 vda 1 1 x 1 1 1 1 1 1 1\n"},
		{"huge", "diskstats", "1 1 vda 1 1 1 1 1 1 1 1 1 99999999999999999999\n"},
		{"no number of octets", "self/io", "read_bytes: many\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			files, p := newProc(t)
			files.say(0, 0, 0)
			files.write(test.file, test.text)
			if all, err := p.Disks(); err == nil {
				t.Errorf("disks %v, want an error", all)
			}
		})
	}
	files, p := newProc(t)
	if _, err := p.Memory(); err == nil {
		t.Error("memory without a file")
	}
	for _, text := range []string{"", "1", "1 x"} {
		files.write("self/statm", text)
		if n, err := p.Memory(); err == nil {
			t.Errorf("memory %d of %q", n, text)
		}
	}
	files.say(0, 0, 0)
	files.write("diskstats", "1 1 short\n")
	if all, err := p.Disks(); err != nil || len(all) != 0 {
		t.Errorf("disks %v, %v, want none: it cannot be told", all, err)
	}
	if err := os.RemoveAll(files.dir); err != nil {
		t.Fatal(err)
	}
	if all, err := p.Disks(); err == nil {
		t.Errorf("disks %v without files", all)
	}
}
