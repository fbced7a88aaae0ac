package shadow

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/ulikunitz/xz"

	"nearcast/edge/store/policy"
)

// visit is one request of a load.
type visit struct {
	id   uint64
	size int64
}

// trace reads one of the real traces, or skips the test.
func trace(t *testing.T, name string) (visits []visit) {
	t.Helper()
	dir := os.Getenv("NEARCAST_SHARED")
	if dir == "" {
		t.Skip("NEARCAST_SHARED is not set: the traces are found through it; make sets it")
	}
	f, err := os.Open(filepath.Join(dir, "traces", name))
	if err != nil {
		t.Skipf("no trace here: %v", err)
	}
	defer f.Close()
	var r io.Reader = bufio.NewReader(f)
	switch {
	case strings.HasSuffix(name, ".xz"):
		r, err = xz.NewReader(r)
	case strings.HasSuffix(name, ".gz"):
		r, err = gzip.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(name, "oracle") {
		visits, err = oracle(r)
	} else {
		visits, err = text(r)
	}
	if err != nil || len(visits) < 1000 {
		t.Fatalf("%d requests, %v", len(visits), err)
	}
	return visits
}

func oracle(r io.Reader) (visits []visit, err error) {
	for b := make([]byte, 24); ; {
		if _, err := io.ReadFull(r, b); errors.Is(err, io.EOF) {
			return visits, nil
		} else if err != nil {
			return nil, err
		}
		visits = append(visits, visit{binary.LittleEndian.Uint64(b[4:]), int64(binary.LittleEndian.Uint32(b[12:]))})
	}
}

func text(r io.Reader) (visits []visit, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var v visit
		var at string
		if _, err := fmt.Sscan(lines.Text(), &at, &v.id, &v.size); err != nil {
			return nil, err
		}
		visits = append(visits, v)
	}
	return visits, lines.Err()
}

// zipf is a load of so many requests for so many objects, with sizes that have a long tail and do not depend on how often they are asked for.
func zipf(requests, objects int, exponent float64, mean float64) []visit {
	cumulative := make([]float64, objects)
	sum := 0.0
	for i := range cumulative {
		sum += math.Pow(float64(i+1), -exponent)
		cumulative[i] = sum
	}
	random := rand.New(rand.NewPCG(1, 2))
	sizes := make([]int64, objects)
	for i := range sizes {
		sizes[i] = 500 + int64(min(mean*0.6*math.Exp(random.NormFloat64()), 1<<20))
	}
	visits := make([]visit, requests)
	for i := range visits {
		x := random.Float64() * sum
		low, high := 0, objects-1
		for low < high {
			if mid := (low + high) / 2; cumulative[mid] < x {
				low = mid + 1
			} else {
				high = mid
			}
		}
		visits[i] = visit{uint64(low), sizes[low]}
	}
	return visits
}

func footprint(visits []visit) (octets int64) {
	sizes := make(map[uint64]int64)
	for _, v := range visits {
		sizes[v.id] = v.size
	}
	for _, n := range sizes {
		octets += n
	}
	return octets
}

// show shows a load to shadows as those do who call Samples and Asked, but with the same chance each time.
func show(c *Caches, visits []visit) {
	random := rand.New(rand.NewPCG(3, 4))
	for i, v := range visits {
		mask := c.mask.Load()
		r := request{hash: mixed(v.id), size: v.size, body: v.size, counted: random.Uint64()&mask == 0}
		if r.counted || r.hash&mask == 0 {
			c.take(&r)
		}
		if i%512 == 0 {
			c.drain()
		}
	}
	c.drain()
}

// exactly is a cache that sees everything, with hits counted as shadows do.
func exactly(cache policy.Cache, visits []visit, forget float64) (objects, octets float64) {
	var asked, hits amount
	keep := math.Exp2(-1 / forget)
	for _, v := range visits {
		asked.scale(keep)
		hits.scale(keep)
		asked.add(v.size)
		if cache.Access(v.id*0x9e3779b97f4a7c15, v.size) {
			hits.add(v.size)
		}
	}
	return hits.requests / asked.requests, hits.octets / asked.octets
}
