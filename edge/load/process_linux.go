package load

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	sector = 512 // octets, in /proc/diskstats, whatever the device's are
	// fade is what is left of recent octets after a reading. What the process writes reaches the disk some seconds later, and must still
	// be its own then.
	fade = 0.9
)

// Process is the [Machine] of this process, on Linux. It belongs to one [Meter].
type Process struct {
	proc string // where procfs is
	dirs []string

	mu      sync.Mutex // guards what follows
	devices map[string]*device
	moved   uint64  // octets, by the process
	recent  float64 // of them, lately
}

// device is what a disk directory is on.
type device struct {
	seen  bool
	busy  time.Duration // of the device, as read last
	moved uint64        // octets, by everybody
	all   float64       // of them, lately
	own   time.Duration // of busy, on behalf of the process
}

// NewProcess returns the Machine of this process, whose disks are those that hold some directories.
func NewProcess(dirs ...string) *Process { return newProcess("/proc", dirs) }

func newProcess(proc string, dirs []string) *Process {
	return &Process{proc: proc, dirs: dirs, devices: make(map[string]*device)}
}

// CPU implements [Machine].
func (*Process) CPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("asking for the processor time of the process: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// Memory implements [Machine].
func (p *Process) Memory() (uint64, error) {
	text, err := os.ReadFile(filepath.Join(p.proc, "self", "statm"))
	if err != nil {
		return 0, fmt.Errorf("asking for the memory of the process: %w", err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("asking for the memory of the process: %q is not two numbers", text)
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("asking for the memory of the process: %w", err)
	}
	return pages * uint64(os.Getpagesize()), nil
}

// Disks implements [Machine]. A directory that is on no device of its own, as on tmpfs or overlayfs, is left out. Of the time for which
// a device is busy, the process has the part that it has of the octets.
func (p *Process) Disks() ([]time.Duration, error) {
	if len(p.dirs) == 0 {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	stats, err := p.diskstats()
	if err != nil {
		return nil, err
	}
	moved, err := p.io()
	if err != nil {
		return nil, err
	}
	if len(p.devices) > 0 { // it is not the first reading
		p.recent = fade*p.recent + float64(grown(p.moved, moved))
	}
	p.moved = moved
	var all []time.Duration
	done := make(map[string]bool)
	for _, dir := range p.dirs {
		name, err := deviceOf(dir)
		if err != nil {
			return nil, err
		}
		is, known := stats[name]
		if !known || done[name] {
			continue
		}
		done[name] = true
		all = append(all, p.follow(name, is))
	}
	return all, nil
}

// follow adds to the process's time of a device what there was since the last reading.
func (p *Process) follow(name string, is device) time.Duration {
	d := p.devices[name]
	if d == nil {
		d = new(device)
		p.devices[name] = d
	}
	if d.seen {
		d.all = fade*d.all + float64(grown(d.moved, is.moved))
		d.own += time.Duration(float64(max(is.busy-d.busy, 0)) * min(share(p.recent, d.all), 1))
	}
	d.seen, d.busy, d.moved = true, is.busy, is.moved
	return d.own
}

// deviceOf names the device that holds a directory, as major:minor.
func deviceOf(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("finding the device of a disk: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("finding the device of %s: %w", dir, errors.ErrUnsupported)
	}
	dev := st.Dev
	major := dev>>8&0xfff | dev>>32&^uint64(0xfff)
	minor := dev&0xff | dev>>12&^uint64(0xff)&0xffffffff
	return strconv.FormatUint(major, 10) + ":" + strconv.FormatUint(minor, 10), nil
}

// diskstats reads what all devices have done, by major:minor.
func (p *Process) diskstats() (map[string]device, error) {
	name := filepath.Join(p.proc, "diskstats")
	text, err := os.ReadFile(name) //nolint:gosec // a file of the kernel's
	if err != nil {
		return nil, fmt.Errorf("asking how busy the disks are: %w", err)
	}
	all := make(map[string]device)
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // major minor name reads merged sectors ms writes merged sectors ms running busy-ms ...
		if len(f) < 13 {
			continue
		}
		read, err1 := strconv.ParseUint(f[5], 10, 64)
		written, err2 := strconv.ParseUint(f[9], 10, 64)
		busy, err3 := strconv.ParseUint(f[12], 10, 63)
		if err := cmp.Or(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("asking how busy the disks are: %s: line %q: %w", name, strings.TrimSpace(line), err)
		}
		all[f[0]+":"+f[1]] = device{busy: time.Duration(busy) * time.Millisecond, moved: (read + written) * sector}
	}
	return all, nil
}

// io reads how many octets the process has read from and written to disks.
func (p *Process) io() (octets uint64, err error) {
	text, err := os.ReadFile(filepath.Join(p.proc, "self", "io"))
	if err != nil {
		return 0, fmt.Errorf("asking what the process reads and writes: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name != "read_bytes" && name != "write_bytes" {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("asking what the process reads and writes: %w", err)
		}
		octets += n
	}
	return octets, nil
}
