package ram_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/ram"
)

// object makes an object with a body of n octets.
func object(key string, n int) *store.Object {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := httpcache.NewResponse(httpcache.Request{Method: http.MethodGet}, http.StatusOK, http.Header{"Etag": {`"1"`}}, now, now)
	return &store.Object{Key: cdn.CacheKey(key), Response: r, Body: store.NewBody(make([]byte, n)), Length: int64(n)}
}

// file is an extent that is never read.
type file struct{ _ int }

func (*file) Use(func(int, int64)) bool         { return false }
func (*file) Hold() bool                        { return false }
func (*file) Release()                          {}
func (*file) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }

// filed is the same object with its body in a file.
func filed(o *store.Object) *store.Object {
	f := *o
	f.Body = store.NewExtentBody(&file{}, o.Body.Len())
	return &f
}

func open(t testing.TB, cfg ram.Config) *ram.Store {
	t.Helper()
	s, err := ram.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func get(s *ram.Store, key string) *store.Object {
	o, _ := s.Get(store.Lookup{Key: cdn.CacheKey(key)})
	return o
}

func peek(s *ram.Store, key string) *store.Object {
	return s.Peek(store.Lookup{Key: cdn.CacheKey(key)})
}

// log writes down what a store tells, one word for each: "+k" for a key that has proven itself, "-k" for one that left unproven,
// "!k" for one that left in spite of it.
type log struct {
	mu    sync.Mutex // guards the following
	words []string
}

func (l *log) add(word string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.words = append(l.words, word)
}

// take returns what has been written since the last time.
func (l *log) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	words := l.words
	l.words = nil
	return words
}

// TestTold: what a store tells of its objects, and that they are to be found, or not, by then.
func TestTold(t *testing.T) {
	const budget = 1 << 20
	var l log
	var s *ram.Store
	s = open(t, ram.Config{
		Budget: budget,
		Leaving: func(o *store.Object, proven bool) {
			if peek(s, string(o.Key)) != nil {
				t.Errorf("%s is said to leave and is there", o.Key)
			}
			if o.Body.Len() == 0 {
				t.Errorf("%s leaves without its body", o.Key)
			}
			word := "-"
			if proven {
				word = "!"
			}
			l.add(word + string(o.Key))
		},
		Proven: func(o *store.Object) {
			if peek(s, string(o.Key)) != o {
				t.Errorf("%s has proven itself and is not there", o.Key)
			}
			l.add("+" + string(o.Key))
		},
	})
	fill := func(name string, n int) {
		for i := range n {
			if key := fmt.Sprint(name, i); !s.Put(object(key, budget/32), nil) {
				t.Fatalf("%s was refused", key)
			}
		}
	}
	s.Put(object("used", budget/32), nil)
	s.Put(object("deleted", budget/32), nil)
	s.Put(object("replaced", budget/32), nil)
	s.Put(object("replaced", 1), nil)
	s.Put(object("unused", budget/32), nil)
	get(s, "used")
	s.Delete("deleted")
	if got := l.take(); got != nil {
		t.Fatalf("%v was told before there was a need for room", got)
	}
	fill("once", 40)
	got := l.take()
	for _, want := range []string{"+used", "-replaced", "-unused"} {
		if n := count(got, want); n != 1 {
			t.Errorf("%s was told %d times, want once, of %v", want, n, got)
		}
	}
	for _, key := range []string{"deleted", "used"} {
		if slices.ContainsFunc(got, func(w string) bool { return strings.TrimLeft(w, "-!") == key }) {
			t.Errorf("%s was told to have left: %v", key, got)
		}
	}
	s.Put(object("unused", budget/32), nil)
	if got := l.take(); !slices.Contains(got, "+unused") {
		t.Errorf("a ghost came back, and %v was told, want +unused", got)
	}
	for range 4 {
		for i := range 64 {
			key := fmt.Sprint("often", i)
			s.Put(object(key, budget/32), nil)
			get(s, key)
		}
	}
	if got := l.take(); !slices.Contains(got, "!used") {
		t.Errorf("what was in use long ago was not told to leave as proven: %v", got)
	}
}

// TestPutMeansFound: what was put is found, and what was refused is not and has never been here.
func TestPutMeansFound(t *testing.T) {
	const budget = 1 << 20
	var key string
	s := open(t, ram.Config{Budget: budget, Leaving: func(o *store.Object, _ bool) {
		if string(o.Key) == key {
			t.Errorf("%s leaves while it is being put", o.Key)
		}
	}})
	rnd := rand.New(rand.NewPCG(1, 2))
	refused := uint64(0)
	for i := range 2000 {
		key = fmt.Sprint(rnd.IntN(200))
		o := object(key, rnd.IntN(budget/3))
		if i%7 > 0 {
			o.Body = store.NewBody(make([]byte, rnd.IntN(10<<10)))
		}
		taken := s.Put(o, nil)
		if !taken {
			refused++
		}
		if got := peek(s, key); taken != (got != nil && got.Same(o)) {
			t.Fatalf("Put of %s with %d octets reported %t; there is %v", key, o.Body.Len(), taken, got)
		}
	}
	if got := s.Stats(); refused == 0 || got.Refused != refused {
		t.Errorf("%d were refused, Stats() = %+v", refused, got)
	}
}

func count(words []string, word string) (n int) {
	for _, w := range words {
		if w == word {
			n++
		}
	}
	return n
}

// TestToldWithoutLocks: those who are told may do all that the store has.
func TestToldWithoutLocks(t *testing.T) {
	var s *ram.Store
	var l log
	again := func(o *store.Object) {
		s.Peek(store.Lookup{Key: o.Key})
		s.Drop(o)
		s.Delete(o.Key)
		s.Put(object("told"+string(o.Key), 1), nil)
		s.All(func(*store.Object) bool { return true })
		s.Stats()
		l.add(string(o.Key))
	}
	s = open(t, ram.Config{Budget: 64 << 10, Proven: again, Leaving: func(o *store.Object, _ bool) {
		if !strings.HasPrefix(string(o.Key), "told") {
			again(o)
		}
	}})
	for i := range 100 {
		key := fmt.Sprint("k", i)
		s.Put(object(key, 4<<10), nil)
		if i%3 == 0 {
			get(s, key)
		}
	}
	if got := l.take(); len(got) < 50 {
		t.Errorf("told of %d, want most of 100", len(got))
	}
}

func TestSwap(t *testing.T) {
	s := open(t, ram.Config{Budget: 1 << 20})
	s.Put(object("k", 100<<10), nil)
	whole := get(s, "k")
	before := s.Stats().Bytes
	head := filed(whole)
	if !s.Swap(whole, head) {
		t.Fatal("Swap of a stored object reported false")
	}
	got := get(s, "k")
	if e, _ := got.Body.Extent(); e == nil || got.Body.Len() != 100<<10 || got.Memo != whole.Memo {
		t.Errorf("after Swap: %+v", got)
	}
	if now := s.Stats(); now.Objects != 1 || now.Bytes > before-100<<10 {
		t.Errorf("Stats() = %+v after the body went to a file, %d bytes before", now, before)
	}
	if s.Swap(whole, filed(whole)) {
		t.Error("Swap of what was swapped already reported true")
	}
	if !s.Swap(got, whole) || get(s, "k").Body.Len() != 100<<10 || s.Stats().Bytes != before {
		t.Errorf("the body did not come back: %+v", s.Stats())
	}
	s.Refresh(get(s, "k"), object("k", 0).Response, 0)
	if s.Swap(whole, head) {
		t.Error("Swap of an object that has a new head meanwhile reported true")
	}
	if s.Swap(get(s, "k"), object("k", 1<<20)) {
		t.Error("Swap took an object larger than the room")
	}
	s.Delete("k")
	if s.Swap(whole, head) || get(s, "k") != nil {
		t.Error("Swap brought a deleted object back")
	}
}

// TestSwapOfWhatWasPut: the one who puts an object may swap and drop it without asking for it first.
func TestSwapOfWhatWasPut(t *testing.T) {
	s := open(t, ram.Config{Budget: 1 << 20})
	o := object("k", 100)
	s.Put(o, nil)
	f := filed(o)
	if !s.Swap(o, f) || s.Drop(o) || !s.Drop(f) || s.Drop(f) {
		t.Error("want: swapped; not dropped in the old form; dropped in the new one, once")
	}
	if got := s.Stats(); got.Objects != 0 || got.Bytes != 0 {
		t.Errorf("Stats() = %+v, want nothing", got)
	}
}

// TestSwapKeepsTurn: an object that is swapped leaves when it would have left.
func TestSwapKeepsTurn(t *testing.T) {
	var left []string
	s := open(t, ram.Config{Budget: 1 << 20, Leaving: func(o *store.Object, _ bool) { left = append(left, string(o.Key)) }})
	s.Put(object("a", 32<<10), nil)
	s.Put(object("b", 32<<10), nil)
	a := peek(s, "a")
	s.Swap(a, filed(a))
	for i := range 40 {
		s.Put(object(fmt.Sprint(i), 32<<10), nil)
	}
	if len(left) < 2 || left[0] != "a" || left[1] != "b" {
		t.Errorf("%v left, want a and b first", left)
	}
}

func TestAll(t *testing.T) {
	s := open(t, ram.Config{Budget: 1 << 20})
	want := []string{"a", "b", "c"}
	for _, key := range want {
		s.Put(object(key, 10), nil)
	}
	var got []string
	s.All(func(o *store.Object) bool {
		got = append(got, string(o.Key))
		return true
	})
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("All yielded %v, want %v", got, want)
	}
	n := 0
	s.All(func(*store.Object) bool { n++; return false })
	if n != 1 {
		t.Errorf("All went on to %d after it was told to stop", n)
	}
}

// TestExtentCostsHead: a body in a file takes no memory.
func TestExtentCostsHead(t *testing.T) {
	s := open(t, ram.Config{Budget: 1 << 20})
	for i := range 100 {
		if !s.Put(filed(object(fmt.Sprint(i), 1)), nil) {
			t.Fatal("refused")
		}
	}
	huge := object("huge", 0)
	huge.Body = store.NewExtentBody(&file{}, 1<<40)
	if !s.Put(huge, nil) {
		t.Error("an object whose body is in a file was refused for its size")
	}
	if got := s.Stats(); got.Objects != 101 || got.Evictions != 0 || got.Bytes > 1<<19 {
		t.Errorf("Stats() = %+v", got)
	}
}
