package load

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Cores returns how many processor cores the process may use: procs (GOMAXPROCS), unless its control group has a quota below. GOMAXPROCS follows that
// too, but rounds it up and is at least two: of one core or of two and a half a node would be used up and look half idle.
func Cores(procs int) float64 { return coresUnder("/", procs) }

// coresUnder is Cores where the file systems of the kernel are below a root. What cannot be read is no quota.
func coresUnder(root string, procs int) float64 {
	cores := float64(procs)
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return cores
	}
	for line := range strings.Lines(string(text)) { // number:controllers:path, of version 2 0::path
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		quota := quota2
		dir := filepath.Join(root, "sys/fs/cgroup")
		switch {
		case slices.Contains(strings.Split(parts[1], ","), "cpu"):
			quota, dir = quota1, filepath.Join(dir, "cpu")
		case parts[0] != "0" || parts[1] != "":
			continue
		}
		for group := path.Clean("/" + parts[2]); ; group = path.Dir(group) { // that of each group above counts as well
			if q, ok := quota(filepath.Join(dir, group)); ok {
				cores = min(cores, q)
			}
			if group == "/" {
				break
			}
		}
	}
	return cores
}

// quota2 reads a group's quota in cores, of version 2 of control groups.
func quota2(dir string) (cores float64, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, "cpu.max")) //nolint:gosec // a file of the kernel's
	if err != nil {
		return 0, false
	}
	limit, period, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return coresOf(limit, period)
}

// quota1 is quota2 for version 1.
func quota1(dir string) (cores float64, ok bool) {
	limit, err := os.ReadFile(filepath.Join(dir, "cpu.cfs_quota_us")) //nolint:gosec // as above
	if err != nil {
		return 0, false
	}
	period, err := os.ReadFile(filepath.Join(dir, "cpu.cfs_period_us")) //nolint:gosec // as above
	if err != nil {
		return 0, false
	}
	return coresOf(strings.TrimSpace(string(limit)), strings.TrimSpace(string(period)))
}

// coresOf is a quota in cores; there is none if the limit is "max" or negative.
func coresOf(limit, period string) (cores float64, ok bool) {
	l, err := strconv.ParseUint(limit, 10, 63)
	if err != nil || l == 0 {
		return 0, false
	}
	p, err := strconv.ParseUint(period, 10, 63)
	if err != nil || p == 0 {
		return 0, false
	}
	return float64(l) / float64(p), true
}
