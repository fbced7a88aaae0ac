package watch_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/internal/atomicfile"
	"nearcast/internal/geo"
	"nearcast/internal/geo/mmdb"
	"nearcast/internal/geo/watch"
)

// write puts a database with one country for 10.0.0.0/8 in a file, and n more prefixes.
func write(t *testing.T, file, country string, n int) {
	t.Helper()
	entries := []geo.Entry{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Record: geo.Record{Country: country}}}
	for i := range n {
		entries = append(entries, geo.Entry{
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i)}), 24), Record: geo.Record{Country: country, ASN: uint32(i%2 + 1)},
		})
	}
	data, err := mmdb.Write(entries, time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	put(t, file, data)
}

func put(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := atomicfile.Write(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func country(d *geo.Database) string {
	if d == nil {
		return "none"
	}
	r, _ := d.Lookup(netip.MustParseAddr("10.1.2.3"))
	return r.Country
}

// A change is seen, a bad file leaves the old one in use and sounds the alarm once, and a good one ends it.
func TestWatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "geo.mmdb")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		registry := prometheus.NewRegistry()
		told := "nothing"
		k := watch.Open(watch.Options{
			Log: slog.New(slog.NewTextHandler(&log, nil)), Registry: registry,
			OnChange: func(d *geo.Database) { told = country(d) },
		}, file)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- k.Watch(ctx) }()
		step := func(name, wantTold, wantMetrics string) {
			t.Helper()
			<-time.After(10 * time.Second)
			synctest.Wait()
			if told != wantTold || (wantTold != "nothing" && country(k.Database()) != wantTold) {
				t.Errorf("%s: told %s, knows %s; want %s\n%s", name, told, country(k.Database()), wantTold, &log)
			}
			want := "# HELP nearcast_geo_bad_files Databases of addresses that cannot be used as they are now; what was read of them before is.\n# TYPE nearcast_geo_bad_files gauge\nnearcast_geo_bad_files " + wantMetrics + "\n"
			if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "nearcast_geo_bad_files"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if k.Database() != nil || !errors.Is(k.Bad(), os.ErrNotExist) {
			t.Errorf("before there is a file: %v, %v", k.Database(), k.Bad())
		}
		step("missing", "nothing", "1")
		write(t, file, "DE", 0)
		step("it comes", "DE", "0")
		write(t, file, "FR", 2000)
		step("it changes", "FR", "0")
		put(t, file, []byte("prefix,country\n"))
		step("junk", "FR", "1")
		step("junk still", "FR", "1")
		if n := strings.Count(log.String(), "not a MaxMind DB"); n != 1 {
			t.Errorf("told %d times:\n%s", n, &log)
		}
		write(t, file, "JP", 100)
		step("most is lost", "FR", "1")
		if !errors.Is(k.Bad(), watch.ErrLoss) {
			t.Errorf("error %v", k.Bad())
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		step("removed", "FR", "1")
		write(t, file, "NL", 1500)
		step("good again", "NL", "0")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Of two files the first goes before the second, and one that is bad does not keep the other from being used.
func TestSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	a, b, missing := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	write(t, a, "DE", 0)
	write(t, b, "FR", 3)
	k := watch.Open(watch.Options{}, missing, a, b, dir)
	if got := country(k.Database()); got != "DE" {
		t.Errorf("country %s, want that of the first file", got)
	}
	if r, _ := k.Database().Lookup(netip.MustParseAddr("11.0.1.1")); r.ASN != 2 {
		t.Errorf("%+v: what only the second knows is missing", r)
	}
	if err := k.Bad(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir+" is not a file") {
		t.Errorf("error %v", err)
	}
	if k := watch.Open(watch.Options{}); k.Database() != nil || k.Bad() != nil {
		t.Error("something is known without files")
	}
}
