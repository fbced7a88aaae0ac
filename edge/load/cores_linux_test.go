package load

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// The cores of a process are what its control group, and each above, leaves it.
func TestCores(t *testing.T) {
	const v1, v2 = "2:cpuset:/x\n3:cpu,cpuacct:/a/b\n0::/\n", "0::/a/b\n"
	for _, test := range []struct {
		name   string
		groups string // of the process
		files  map[string]string
		want   float64
	}{
		{"no control groups", "", nil, 4},
		{"no quota", v2, map[string]string{"a/b/cpu.max": "max 100000\n"}, 4},
		{"one core", v2, map[string]string{"a/b/cpu.max": "100000 100000\n"}, 1},
		{"two and a half", v2, map[string]string{"a/b/cpu.max": "125000 50000\n"}, 2.5},
		{"more than there is", v2, map[string]string{"a/b/cpu.max": "900000 100000\n"}, 4},
		{"above", v2, map[string]string{"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, 1.5},
		{"in a container", v2, map[string]string{"cpu.max": "50000 100000\n"}, 0.5},
		{"the other version", v1, map[string]string{"cpu/a/b/cpu.cfs_quota_us": "100000\n", "cpu/a/b/cpu.cfs_period_us": "100000\n"}, 1},
		{"the other version, no quota", v1, map[string]string{"cpu/a/b/cpu.cfs_quota_us": "-1\n", "cpu/a/b/cpu.cfs_period_us": "100000\n"}, 4},
		{"nonsense", "x\n::\n0::/../../etc\n", map[string]string{"etc/cpu.max": "0 0\n", "cpu.max": "many few\n"}, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			write := func(name, text string) {
				name = filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if test.groups != "" {
				write("proc/self/cgroup", test.groups)
			}
			for name, text := range test.files {
				write("sys/fs/cgroup/"+name, text)
			}
			if got := coresUnder(root, 4); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
	if got := Cores(runtime.GOMAXPROCS(0)); got <= 0 || got > float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("of this process: %v", got)
	}
}
