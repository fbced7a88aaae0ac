package main

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// A model of Tragen (Sabnis and Sitaraman, IMC 2021) is a folder with sz.txt.gz, how many of the objects have which size, and fd.txt.gz, the
// footprint descriptor: how many of the requests come how long, and how many octets of other objects, after the last for the same object.
// A trace of it is made from a stack of objects. The topmost is asked for and then put back beneath as many octets as the descriptor
// says, or never again, and a new one comes to the end of the stack.

// kilo is the unit of the models.
const kilo = 1000

// bucket is the width of a class of the footprint descriptor, in octets.
const bucket = 200_000 * kilo

// maxStack bounds the memory of making a trace, in objects.
const maxStack = 500_000

// distribution draws values by their shares.
type distribution struct {
	sums   []float64
	values []int64
}

// draw returns a value for a number from 0 to 1, or false where the shares do not come up to it.
func (d *distribution) draw(u float64) (int64, bool) {
	i := sort.SearchFloat64s(d.sums, u)
	if i == len(d.sums) {
		return 0, false
	}
	return d.values[i], true
}

func (d *distribution) total() float64 { return d.sums[len(d.sums)-1] }

// makeTragen makes a trace of so many requests. What the same seed makes is the same. shrink divides the descriptor's octets, so
// that the model's reuse fits into a short trace.
func makeTragen(dir string, requests int, seed uint64, shrink float64) ([]request, error) {
	sizes, err := readModel(filepath.Join(dir, "sz.txt.gz"), 2, 0)
	if err != nil {
		return nil, err
	}
	reuse, err := readModel(filepath.Join(dir, "fd.txt.gz"), 3, 1)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a trace that can be made again
	s := stack{random: r, sizes: sizes}
	deepest := int64(float64(reuse.values[len(reuse.values)-1]) / shrink)
	for s.root.octets() < deepest && s.made < maxStack {
		s.root = join(s.root, s.fresh())
	}
	trace := make([]request, 0, requests)
	for range requests {
		var top *item
		top, s.root = pop(s.root)
		trace = append(trace, request{top.id, top.size})
		below, again := reuse.draw(r.Float64())
		at := int64((float64(below) + r.Float64()*bucket) / shrink)
		if !again || at >= s.root.octets() {
			s.root = join(s.root, s.fresh())
			continue
		}
		upper, lower := cut(s.root, at)
		s.root = join(join(upper, top), lower)
	}
	return trace, nil
}

// readModel reads lines of so many fields, of which one is the value, in thousands of octets, and the last is its share. The first line is
// about the whole, and so is one of a single number.
func readModel(name string, fields, value int) (*distribution, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening a part of the model: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: not compressed with gzip, as its name says: %w", name, err)
	}
	lines := bufio.NewScanner(z)
	d := &distribution{}
	sum := 0.0
	for n := 1; lines.Scan(); n++ {
		if n == 1 || len(strings.Fields(lines.Text())) < 2 {
			continue
		}
		v := make([]float64, fields)
		at := make([]any, fields)
		for i := range v {
			at[i] = &v[i]
		}
		if _, err := fmt.Sscan(lines.Text(), at...); err != nil {
			return nil, fmt.Errorf("%s: line %d is not of %d numbers: %w", name, n, fields, err)
		}
		octets, share := v[value]*kilo, v[fields-1]
		if !(octets >= 0 && octets <= maxSize && share >= 0 && share <= 1) {
			return nil, fmt.Errorf("%s: line %d: %v octets with a share of %v are absurd", name, n, octets, share)
		}
		sum += share
		d.sums, d.values = append(d.sums, sum), append(d.values, int64(octets))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if sum == 0 {
		return nil, fmt.Errorf("%s: there is nothing in it", name)
	}
	return d, nil
}

// stack is of objects, as a treap by their place in it.
type stack struct {
	root   *item
	random *rand.Rand
	sizes  *distribution
	made   uint64
}

func (s *stack) fresh() *item {
	s.made++
	size, ok := s.sizes.draw(s.random.Float64() * s.sizes.total())
	if !ok {
		size = s.sizes.values[len(s.sizes.values)-1]
	}
	size = max(1, size-s.random.Int64N(kilo))
	return &item{id: s.made, size: size, sum: size, weight: s.random.Uint64()}
}

type item struct {
	upper, lower *item
	weight       uint64
	id           uint64
	size, sum    int64 // sum: with all above and below it in its part of the tree
}

func (i *item) octets() int64 {
	if i == nil {
		return 0
	}
	return i.sum
}

func (i *item) add() *item {
	i.sum = i.size + i.upper.octets() + i.lower.octets()
	return i
}

// cut divides a stack beneath those topmost that are of so many octets, at most.
func cut(i *item, octets int64) (upper, lower *item) {
	if i == nil {
		return nil, nil
	}
	if with := i.upper.octets() + i.size; with <= octets {
		i.lower, lower = cut(i.lower, octets-with)
		return i.add(), lower
	}
	upper, i.upper = cut(i.upper, octets)
	return upper, i.add()
}

func join(upper, lower *item) *item {
	switch {
	case upper == nil:
		return lower
	case lower == nil:
		return upper
	case upper.weight > lower.weight:
		upper.lower = join(upper.lower, lower)
		return upper.add()
	}
	lower.upper = join(upper, lower.upper)
	return lower.add()
}

// pop takes the topmost off a stack that is not empty.
func pop(i *item) (top, rest *item) {
	if i.upper == nil {
		rest = i.lower
		i.lower = nil
		return i.add(), rest
	}
	top, i.upper = pop(i.upper)
	return top, i.add()
}

// model is what --format tragen needs besides the folder.
type model struct {
	requests int
	seed     uint64
	shrink   float64
}

func (m model) check() error {
	if m.requests < 1 || m.requests > 100_000_000 {
		return fmt.Errorf("--requests %d: 1 to 100 million can be made", m.requests)
	}
	if !(m.shrink >= 1) || math.IsInf(m.shrink, 0) {
		return errors.New("--shrink is 1 or more: the model's octets are divided by it")
	}
	return nil
}
