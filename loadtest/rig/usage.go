package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, in which /proc counts processor time: a constant of Linux's interface.
const ticksPerSecond = 100

// stat is what is wanted of /proc/PID/stat, see proc(5).
type stat struct {
	state   byte
	ticks   uint64 // utime+stime
	started uint64
	rss     int64 // pages
}

// parseStat reads a line of /proc/PID/stat. The name of the program, in parentheses, may hold anything.
func parseStat(line []byte) (stat, error) {
	_, rest, ok := bytes.Cut(line[max(0, bytes.LastIndexByte(line, ')')):], []byte(") "))
	fields := strings.Fields(string(rest))
	if !ok || len(fields) < 22 {
		return stat{}, fmt.Errorf("not a line of /proc/PID/stat: %q", line)
	}
	utime, err1 := strconv.ParseUint(fields[11], 10, 64)
	stime, err2 := strconv.ParseUint(fields[12], 10, 64)
	started, err3 := strconv.ParseUint(fields[19], 10, 64)
	rss, err4 := strconv.ParseInt(fields[21], 10, 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return stat{}, fmt.Errorf("reading /proc/PID/stat: %w", err)
	}
	return stat{state: fields[0][0], ticks: utime + stime, started: started, rss: rss}, nil
}

func readStat(pid int) (stat, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(line)
}

// descendants returns a process and all its descendants. What has ended has none.
func descendants(pid int) []int {
	pids := []int{pid}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return pids
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for word := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				pids = append(pids, descendants(child)...)
			}
		}
	}
	return pids
}

// CPU returns the processor time that the tree's living processes have used.
func (p *Process) CPU() time.Duration {
	var ticks uint64
	for _, pid := range p.Tree() {
		if s, err := readStat(pid); err == nil {
			ticks += s.ticks
		}
	}
	return time.Duration(ticks) * (time.Second / ticksPerSecond)
}

// RSS returns the resident memory of the tree in bytes. Pages that its processes share count for each.
func (p *Process) RSS() int64 {
	var pages int64
	for _, pid := range p.Tree() {
		if s, err := readStat(pid); err == nil {
			pages += s.rss
		}
	}
	return pages * int64(os.Getpagesize())
}

// Files returns the number of open files of the tree.
func (p *Process) Files() int {
	n := 0
	for _, pid := range p.Tree() {
		if d, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
			names, _ := d.Readdirnames(-1) // none of a process that has ended
			n += len(names)
			d.Close() //nolint:errcheck // only read
		}
	}
	return n
}
