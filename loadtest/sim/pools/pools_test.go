package pools

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"nearcast/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m, 5*time.Second) }

func TestMatrix(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.csv")
	if err := os.WriteFile(file, []byte("id,a,b\na,0,100\nb,,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	delay, err := matrixDelays(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		from, to int
		want     time.Duration
	}{{0, 1, 100 * time.Microsecond}, {0, 2, 50 * time.Millisecond}, {2, 0, unknownRTT / 2 * time.Millisecond}, {3, 5, 75 * time.Millisecond}} {
		if got := delay(nodeAddr(test.from), nodeAddr(test.to)); got != test.want {
			t.Errorf("from %d to %d: %v, want %v", test.from, test.to, got, test.want)
		}
	}
	for _, bad := range []string{"", "id,a\n", "id,a,b\na,0,1\n", "id,a,b\na,0,-1\nb,1,0\n", "id,a,b\na,0,NaN\nb,1,0\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := matrixDelays(file); err == nil {
			t.Errorf("matrix %q was taken", bad)
		}
	}
}
