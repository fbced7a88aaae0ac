package cdn_test

import (
	"testing"

	"nearcast/cdn"
)

// The scarcest resource counts; what an origin that hangs, or a cache that does its work, takes up is none.
func TestUtilisation(t *testing.T) {
	for _, test := range []struct {
		name string
		load cdn.NodeLoad
		want float64
	}{
		{"idle", cdn.NodeLoad{}, 0},
		{"the processor", cdn.NodeLoad{CPU: 0.9, Connections: 0.1, Egress: 0.2, Disk: 0.3}, 0.9},
		{"connections", cdn.NodeLoad{CPU: 0.1, Connections: 0.9, Egress: 0.2, Disk: 0.3}, 0.9},
		{"egress", cdn.NodeLoad{CPU: 0.1, Connections: 0.2, Egress: 1.1, Disk: 0.3}, 1.1},
		{"disk", cdn.NodeLoad{CPU: 0.1, Connections: 0.2, Egress: 0.3, Disk: 0.9}, 0.9},
		{"an origin hangs, and fetches wait for it", cdn.NodeLoad{CPU: 0.1, Fills: 1}, 0.1},
		{"memory is full", cdn.NodeLoad{CPU: 0.1, Memory: 1.2}, 0.1},
	} {
		if got := test.load.Utilisation(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
