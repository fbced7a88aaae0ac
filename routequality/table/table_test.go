package table_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"

	"nearcast/cdn"
	"nearcast/routequality/paths"
	"nearcast/routequality/table"
)

// at is a moment of the test, in seconds from a beginning of a slot.
func at(s int) time.Time { return time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC) }

func group(name cdn.GroupName, octets float64) *cdn.VisitorGroup {
	return &cdn.VisitorGroup{Name: name, Octets: octets, Paths: []cdn.Path{{POP: "a"}}}
}

func link(to string, ms float32) *cdn.Link {
	return &cdn.Link{From: "a", To: to, Quality: cdn.Quality{R50: ms}}
}

func state(s cdn.NodeState) table.News {
	return table.News{Nodes: []cdn.NodeHealth{{Node: "n", State: s}}}
}

// noError returns what takes the version of a call that must not fail.
func noError(t testing.TB) func(table.Version, error) table.Version {
	t.Helper()
	return func(v table.Version, err error) table.Version {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestVersions is one builder's life.
func TestVersions(t *testing.T) {
	must := noError(t)
	b := table.New("e")
	if _, err := b.News(at(0), state(cdn.StateReady)); err == nil {
		t.Error("news before the first table")
	}
	first := must(b.Slot(at(1), state(cdn.StateReady), paths.Change{
		Groups: []*cdn.VisitorGroup{group("g1", 1), group("g2", 2)}, Links: []*cdn.Link{link("b", 1)}, Sites: []cdn.SiteShare{{Site: "s", Share: 1}},
	}))
	slot := table.SlotOf(at(0))
	want := &cdn.RouteTable{
		Epoch: "e", Version: 1, At: at(1), Slot: slot, Nodes: state(cdn.StateReady).Nodes,
		Groups: []*cdn.VisitorGroup{group("g1", 1), group("g2", 2)}, Links: []*cdn.Link{link("b", 1)}, Sites: []cdn.SiteShare{{Site: "s", Share: 1}},
	}
	if diff := cmp.Diff(want, first.Whole); diff != "" || first.Diff != nil {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	news := must(b.News(at(2), state(cdn.StateDown)))
	want.Version, want.At, want.Nodes = 2, at(2), state(cdn.StateDown).Nodes
	if diff := cmp.Diff(want, news.Whole); diff != "" {
		t.Errorf("news (-want +got):\n%s", diff)
	}
	if news.Diff.Base != 1 || len(news.Diff.Groups) > 0 || news.Diff.Slot != slot {
		t.Errorf("difference %+v, want no groups", news.Diff)
	}
	next := must(b.Slot(at(5), state(cdn.StateDown), paths.Change{
		Groups: []*cdn.VisitorGroup{group("g0", 5), group("g2", 3)}, GoneGroups: []cdn.GroupName{"g1"}, Links: []*cdn.Link{link("c", 2)}, GoneLinks: [][2]string{{"a", "b"}},
	}))
	want = &cdn.RouteTable{
		Epoch: "e", Version: 3, At: at(5), Slot: slot + 1, Nodes: state(cdn.StateDown).Nodes,
		Groups: []*cdn.VisitorGroup{group("g0", 5), group("g2", 3)}, Links: []*cdn.Link{link("c", 2)},
	}
	if diff := cmp.Diff(want, next.Whole); diff != "" {
		t.Errorf("next slot (-want +got):\n%s", diff)
	}
	if back := must(b.Slot(at(-60), state(cdn.StateDown), paths.Change{})); back.Whole.Slot != slot+2 || back.Whole.Version != 4 {
		t.Errorf("with a clock that went back it is slot %d, version %d; want %d, 4", back.Whole.Slot, back.Whole.Version, slot+2)
	}
}

// TestFollow: whoever follows, from wherever and however seldom, has what is published.
func TestFollow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, f := table.New("e"), table.NewFeed()
		followers := make([]*cdn.RouteTable, 4)
		names := rapid.SampledFrom([]cdn.GroupName{"a", "b", "c", "d", "e"})
		there := make(map[cdn.GroupName]bool)
		for i := range rapid.IntRange(1, 25).Draw(t, "versions") {
			name := names.Draw(t, "group")
			var v table.Version
			var err error
			switch {
			case i > 0 && rapid.Bool().Draw(t, "news"):
				v, err = b.News(at(i), state(cdn.StateReady))
			case there[name] && rapid.Bool().Draw(t, "gone"):
				v, err = b.Slot(at(i), state(cdn.StateDown), paths.Change{GoneGroups: []cdn.GroupName{name}})
				delete(there, name)
			default:
				v, err = b.Slot(at(i), state(cdn.StateDown), paths.Change{Groups: []*cdn.VisitorGroup{group(name, float64(i))}})
				there[name] = true
			}
			if err != nil {
				t.Fatal(err)
			}
			f.Publish(v)
			who := rapid.IntRange(0, 2*len(followers)).Draw(t, "follower")
			if who < len(followers) {
				followers[who] = follow(t, f, followers[who])
			}
		}
		for _, has := range followers {
			if diff := cmp.Diff(f.Latest(), catchUp(t, f, has), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		}
	})
}

// follow asks once, over the wire.
func follow(t *rapid.T, f *table.Feed, has *cdn.RouteTable) *cdn.RouteTable {
	epoch, version := "", uint64(0)
	if has != nil {
		epoch, version = has.Epoch, has.Version
	}
	pieces, _ := f.After(epoch, version)
	if len(pieces) > table.AtOnce+1 {
		t.Fatalf("%d pieces in one answer", len(pieces))
	}
	packed := rapid.Bool().Draw(t, "packed")
	for next := range read(t, pieces, packed) {
		whole, err := next.Over(has)
		if err != nil {
			t.Fatal(err)
		}
		has = whole
	}
	return has
}

func catchUp(t *rapid.T, f *table.Feed, has *cdn.RouteTable) *cdn.RouteTable {
	for range 20 {
		if has = follow(t, f, has); has != nil && has.Version == f.Latest().Version {
			return has
		}
	}
	t.Fatal("it never arrives")
	return nil
}

func read(t *rapid.T, pieces []*table.Piece, packed bool) func(func(*cdn.RouteTable) bool) {
	parts, err := table.Answer(pieces, packed)
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader = bytes.NewReader(bytes.Join(parts, nil))
	if packed {
		if r, err = gzip.NewReader(r); err != nil {
			t.Fatal(err)
		}
	}
	return func(yield func(*cdn.RouteTable) bool) {
		if err := table.Read(r, 1<<20, func(t *cdn.RouteTable) error {
			if !yield(t) {
				return errors.New("enough")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAfter: who is too far behind gets all, who is not gets what is missing.
func TestAfter(t *testing.T) {
	must := noError(t)
	b, f := table.New("e"), table.NewFeed()
	if pieces, changed := f.After("", 0); pieces != nil || changed == nil {
		t.Error("there is something before the first table")
	}
	for i := range 200 {
		f.Publish(must(b.Slot(at(i), state(cdn.StateReady), paths.Change{})))
	}
	for _, test := range []struct {
		name    string
		epoch   string
		version uint64
		want    int
		whole   bool
	}{
		{"nothing", "", 0, 1, true},
		{"another epoch", "f", 199, 1, true},
		{"one behind", "e", 199, 1, false},
		{"many behind", "e", 150, 16, false},
		{"just within reach", "e", 200 - table.Kept, 16, false},
		{"too far behind", "e", 200 - table.Kept - 1, 1, true},
		{"latest", "e", 200, 0, false},
		{"ahead", "e", 300, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			pieces, changed := f.After(test.epoch, test.version)
			if len(pieces) != test.want || (changed != nil) != (test.want == 0) {
				t.Fatalf("%d pieces, to wait: %v; want %d", len(pieces), changed != nil, test.want)
			}
			if test.want == 0 {
				return
			}
			text, err := pieces[0].JSON()
			if err != nil {
				t.Fatal(err)
			}
			var got cdn.RouteTable
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if (got.Base == 0) != test.whole || !test.whole && got.Base != test.version {
				t.Errorf("the first is version %d to base %d", got.Version, got.Base)
			}
		})
	}
	_, changed := f.After("e", 200)
	f.Publish(must(b.News(at(1000), state(cdn.StateDown))))
	select {
	case <-changed:
	default:
		t.Error("who waits is not woken")
	}
	if pieces, _ := f.After("", 0); len(pieces) != 2 {
		t.Errorf("a newcomer gets %d pieces, want the whole table that is encoded already and what came since", len(pieces))
	}
}

// TestRead: what is not an answer is an error of kind invalid, however it is not.
func TestRead(t *testing.T) {
	for _, text := range []string{
		"", "x", "[]", "{}", `{"tables":`, `{"tables":[`, `{"tables":[{}`, `{"tables":[{}]`, `{"tables":[{},]}`, `{"other":[]}`, `{"tables":{}}`, `{"tables":[1]}`, `{"tables":[{"version":-1}]}`,
	} {
		if err := table.Read(strings.NewReader(text), 1000, func(*cdn.RouteTable) error { return nil }); cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("%q: %v, want an error of kind invalid", text, err)
		}
	}
	long := `{"tables":[{"epoch":"` + strings.Repeat("x", 1000) + `"}]}`
	if err := table.Read(strings.NewReader(long), 1000, func(*cdn.RouteTable) error { return nil }); cdn.KindOf(err) != cdn.Invalid || !strings.Contains(fmt.Sprint(err), "more than 1000 octets") {
		t.Errorf("too long: %v", err)
	}
	enough := errors.New("enough")
	if err := table.Read(strings.NewReader(`{"tables":[{},{}]}`), 1000, func(*cdn.RouteTable) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("the function's error is %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"tables":[{"epoch":"e","version":1,"nodes":[{"node":"a"}],"groups":[null]}]}`))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_ = table.Read(bytes.NewReader(text), 1<<16, func(*cdn.RouteTable) error { return nil })
	})
}
