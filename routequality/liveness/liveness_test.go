package liveness_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nearcast/cdn"
	"nearcast/routequality/liveness"
)

// at is a moment of the test, in milliseconds from its beginning.
func at(ms int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
}

// fleet has so many POPs a, b, c... with the nodes a1, a2...
func fleet(pops, nodes int) *cdn.Fleet {
	f := new(cdn.Fleet)
	for p := range pops {
		name := cdn.POPName(rune('a' + p))
		f.POPs = append(f.POPs, cdn.POP{Name: name})
		for n := range nodes {
			f.Nodes = append(f.Nodes, cdn.Node{Name: cdn.NodeName(fmt.Sprintf("%s%d", name, n+1)), POP: name, Roles: []cdn.Role{cdn.RoleEdge}})
		}
	}
	return f
}

func silence(cdn.NodeName) cdn.NodeState { return cdn.StateUnknown }

// world drives a tracker: what is said goes on being said each 500 ms.
type world struct {
	t    *liveness.Tracker
	now  int
	seq  uint64
	say  map[string][]string        // by reporter: "a2 ready", "a3 down 7" (incarnation)
	vote map[string]map[string]bool // by voter: POP, up
	self map[string]bool            // our own probes
	wan  func(cdn.NodeName) cdn.NodeState
}

func newWorld(f *cdn.Fleet) *world {
	w := &world{
		t: liveness.New("rq", nil), say: make(map[string][]string), vote: make(map[string]map[string]bool), self: make(map[string]bool),
		wan: silence,
	}
	w.t.SetFleet(f)
	return w
}

// until goes on to a time, in milliseconds.
func (w *world) until(ms int) {
	for ; w.now <= ms; w.now += 100 {
		if w.now%500 == 0 {
			w.speak()
		}
		w.t.Step(at(w.now), w.wan)
	}
}

func (w *world) speak() {
	w.seq++
	for by, rows := range w.say {
		r := &liveness.Report{From: cdn.NodeName(by), POP: cdn.POPName(by[:1]), Version: liveness.Version{Incarnation: 1, Seq: w.seq}}
		for _, row := range rows {
			var node, state string
			incarnation := int64(1)
			fmt.Sscan(row, &node, &state, &incarnation)
			if state == "unknown" {
				state = ""
			}
			r.Members = append(r.Members, liveness.Row{Node: cdn.NodeName(node), State: cdn.NodeState(state), Incarnation: incarnation})
		}
		for pop, up := range w.vote[by] {
			r.Votes = append(r.Votes, liveness.Vote{POP: cdn.POPName(pop), Up: up})
		}
		if _, err := w.t.Report(at(w.now), r); err != nil {
			panic(err)
		}
	}
	for pop, up := range w.self {
		w.t.Probed(at(w.now), cdn.POPName(pop), up)
	}
}

func (w *world) node(name cdn.NodeName) cdn.NodeState {
	for _, row := range w.t.View(at(w.now)).Nodes {
		if row.Node == name {
			return row.State
		}
	}
	return "absent"
}

func (w *world) pop(name cdn.POPName) cdn.POPHealth {
	for _, row := range w.t.View(at(w.now)).POPs {
		if row.POP == name {
			return row
		}
	}
	return cdn.POPHealth{State: "absent"}
}

// TestNode: what reporters of one POP say together.
func TestNode(t *testing.T) {
	for _, test := range []struct {
		name string
		say  map[string][]string
		want cdn.NodeState // of a3
	}{
		{"nobody reports", nil, cdn.StateUnknown},
		{"nobody speaks of it", map[string][]string{"a1": {"a1 ready", "a2 ready"}}, cdn.StateUnknown},
		{"it is well", map[string][]string{"a1": {"a3 ready"}}, cdn.StateReady},
		{"its own state", map[string][]string{"a1": {"a3 draining"}, "a2": {"a3 draining"}}, cdn.StateDraining},
		{"all say that it is dead", map[string][]string{"a1": {"a3 down"}, "a2": {"a3 down"}}, cdn.StateDown},
		{"one says that it is dead", map[string][]string{"a1": {"a3 down"}, "a2": {"a3 ready"}}, cdn.StateReady},
		{"one does not know it", map[string][]string{"a1": {"a3 down"}, "a2": {"a1 ready"}}, cdn.StateDown},
		{"only itself says that it is well", map[string][]string{"a1": {"a3 down"}, "a2": {"a3 down"}, "a3": {"a3 ready"}}, cdn.StateDown},
		{"it speaks alone", map[string][]string{"a3": {"a3 starting"}}, cdn.StateStarting},
		{"a new process is alive", map[string][]string{"a1": {"a3 down 1"}, "a2": {"a3 starting 2"}}, cdn.StateStarting},
		{"an old process was", map[string][]string{"a1": {"a3 down 2"}, "a2": {"a3 ready 1"}}, cdn.StateDown},
		{"a process of which one knows no age", map[string][]string{"a1": {"a3 down 2"}, "a2": {"a3 ready 0"}}, cdn.StateReady},
		{"another POP knows nothing", map[string][]string{"b1": {"a3 down"}}, cdn.StateUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(fleet(2, 3))
			w.say = test.say
			w.until(1000)
			if got := w.node("a3"); got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}

// TestNodeDies: a reporter that dies is out when its colleague says so; what it said last delays nothing, for nobody vouches for
// himself, and of others only as long as he is fresh.
func TestNodeDies(t *testing.T) {
	w := newWorld(fleet(1, 3))
	w.say["a1"] = []string{"a1 ready", "a2 ready", "a3 ready"}
	w.say["a2"] = w.say["a1"]
	w.until(5000)
	delete(w.say, "a1")
	w.say["a2"] = []string{"a1 down", "a2 ready", "a3 down"}
	w.until(5500)
	if got := w.node("a1"); got != cdn.StateDown {
		t.Errorf("the dead reporter is %q, want down", got)
	}
	if got := w.node("a3"); got != cdn.StateReady {
		t.Errorf("a node that a fresh reporter vouched for is %q, want ready", got)
	}
	w.until(8000)
	if got := w.node("a3"); got != cdn.StateDown {
		t.Errorf("a node that nobody vouches for is %q, want down", got)
	}
}

// TestSilence: when all reporters are silent states age to unknown, since nothing may take a node out for want of news.
func TestSilence(t *testing.T) {
	w := newWorld(fleet(1, 3))
	w.say["a1"] = []string{"a1 ready", "a2 down", "a3 draining"}
	w.self["a"] = true
	w.until(1000)
	w.say = nil
	w.until(10_500)
	if a, b := w.node("a2"), w.node("a3"); a != cdn.StateDown || b != cdn.StateDraining {
		t.Errorf("after 9.5 s: %q and %q, want down and draining still", a, b)
	}
	w.until(11_500)
	if a, b := w.node("a2"), w.node("a3"); a != cdn.StateUnknown || b != cdn.StateUnknown {
		t.Errorf("after 10.5 s: %q and %q, want both unknown", a, b)
	}
	if got := w.pop("a"); got.State != cdn.POPUp {
		t.Errorf("the POP is %q, want up: it answers probes", got.State)
	}
}

// TestVersions: what was overtaken on the way changes nothing.
func TestVersions(t *testing.T) {
	tr := liveness.New("rq", nil)
	tr.SetFleet(fleet(1, 2))
	for i, step := range []struct {
		incarnation int64
		seq         uint64
		says        cdn.NodeState
		want        cdn.NodeState
	}{
		{5, 1, cdn.StateReady, cdn.StateReady},
		{5, 3, cdn.StateDown, cdn.StateDown},
		{5, 2, cdn.StateReady, cdn.StateDown},
		{5, 3, cdn.StateReady, cdn.StateDown},
		{4, 99, cdn.StateReady, cdn.StateDown},
		{6, 1, cdn.StateReady, cdn.StateReady},
		{5, 4, cdn.StateDown, cdn.StateReady},
	} {
		_, err := tr.Report(at(i), &liveness.Report{
			From: "a1", POP: "a", Version: liveness.Version{Incarnation: step.incarnation, Seq: step.seq}, Members: []liveness.Row{{Node: "a2", State: step.says}},
		})
		if err != nil {
			t.Fatal(err)
		}
		tr.Step(at(i), silence)
		if got := tr.View(at(i)).Nodes[1].State; got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
}

func TestStrangers(t *testing.T) {
	tr := liveness.New("rq", nil)
	tr.SetFleet(fleet(2, 1))
	for _, r := range []liveness.Report{{From: "x", POP: "a"}, {From: "a1", POP: "b"}, {From: "", POP: ""}} {
		if _, err := tr.Report(at(0), &r); cdn.KindOf(err) != cdn.NotFound {
			t.Errorf("report of %q from %q: %v, want an error of kind not found", r.From, r.POP, err)
		}
	}
}

// votes is a fleet of many POPs in which all are up, and each is voted on by us, b and c.
func votes(pops int) *world {
	w := newWorld(fleet(pops, 1))
	for p := range pops {
		name := string(rune('a' + p))
		w.self[name] = true
		w.say[name+"1"] = []string{name + "1 ready"}
		for _, by := range []string{"b1", "c1"} {
			if w.vote[by] == nil {
				w.vote[by] = make(map[string]bool)
			}
			w.vote[by][name] = true
		}
	}
	w.until(1000)
	return w
}

func (w *world) kill(up bool, pops ...string) {
	for _, p := range pops {
		w.self[p] = up
		w.vote["b1"][p], w.vote["c1"][p] = up, up
		if up {
			w.say[p+"1"] = []string{p + "1 ready"}
		} else {
			delete(w.say, p+"1")
		}
	}
}

func TestQuorum(t *testing.T) {
	for _, test := range []struct {
		name    string
		self    bool
		b, c    bool
		want    cdn.POPState
		wantFor string
	}{
		{"all reach it", true, true, true, cdn.POPUp, ""},
		{"one does not", false, true, true, cdn.POPUp, ""},
		{"two do not", false, true, false, cdn.POPDown, ""},
		{"nobody does", false, false, false, cdn.POPDown, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := votes(5)
			w.self["a"], w.vote["b1"]["a"], w.vote["c1"]["a"] = test.self, test.b, test.c
			w.until(2000)
			got := w.pop("a")
			if got.State != test.want {
				t.Errorf("it is %q, want %q; votes %v", got.State, test.want, got.Votes)
			}
			if want := []cdn.Vote{{By: "b", Up: test.b}, {By: "c", Up: test.c}, {By: "rq", Up: test.self}}; !slices.Equal(got.Votes, want) {
				t.Errorf("votes %v, want %v", got.Votes, want)
			}
		})
	}
}

// TestNoVoters: of those who may not vote nothing counts.
func TestVoters(t *testing.T) {
	tr := liveness.New("rq", func(by, pop cdn.POPName) bool { return by == "b" })
	tr.SetFleet(fleet(3, 1))
	for i, by := range []cdn.POPName{"b", "c"} {
		if _, err := tr.Report(at(0), &liveness.Report{From: cdn.NodeName(by + "1"), POP: by, Votes: []liveness.Vote{{POP: "a", Up: i == 0}, {POP: by, Up: true}}}); err != nil {
			t.Fatal(err)
		}
	}
	tr.Step(at(0), silence)
	if got, want := tr.View(at(0)).POPs[0].Votes, []cdn.Vote{{By: "b", Up: true}}; !slices.Equal(got, want) {
		t.Errorf("votes %v, want %v", got, want)
	}
}

// TestPOPComesBack: after five answers, over a ramp; and not at all if it has come and gone too often.
func TestPOPComesBack(t *testing.T) {
	w := votes(5)
	w.kill(false, "a")
	w.until(4000)
	if got := w.pop("a"); got.State != cdn.POPDown || got.Share != 0 {
		t.Fatalf("it is %q with a share of %v, want down and 0", got.State, got.Share)
	}
	if got := w.node("a1"); got != cdn.StateDown {
		t.Errorf("its node is %q, want down", got)
	}
	w.kill(true, "a")
	w.until(5500)
	if got := w.pop("a"); got.State != cdn.POPDown {
		t.Errorf("after three answers it is %q, want down", got.State)
	}
	w.until(7000)
	if got := w.pop("a"); got.State != cdn.POPUp || got.Share > 0.2 {
		t.Errorf("after five answers it is %q with a share of %v, want up and about 0.1", got.State, got.Share)
	}
	w.until(70_000)
	if got := w.pop("a"); got.Share != 1 {
		t.Errorf("after a minute its share is %v, want 1", got.Share)
	}
	for i := range 3 {
		w.kill(false, "a")
		w.until(75_000 + i*10_000)
		w.kill(true, "a")
		w.until(80_000 + i*10_000)
	}
	if got := w.pop("a"); got.State != cdn.POPSuppressed {
		t.Errorf("after four falls it is %q, want suppressed", got.State)
	}
}

// TestSuspicion: when too many fall at once the probers are wrong, for a minute.
func TestSuspicion(t *testing.T) {
	for _, test := range []struct {
		name   string
		pops   int
		first  []string // at 1 s
		second []string // at 3 s
		third  []string // at 20 s
		up     []string // at 25 s
		down   []string
		alarm  bool
	}{
		{name: "a third of few is one", pops: 3, first: []string{"a"}, down: []string{"a"}},
		{name: "two of three", pops: 3, first: []string{"a", "b"}, up: []string{"a", "b"}, alarm: true},
		{name: "three of ten", pops: 10, first: []string{"d", "e", "f"}, down: []string{"d", "e", "f"}},
		{name: "four of ten", pops: 10, first: []string{"d", "e", "f", "g"}, up: []string{"d", "e", "f", "g"}, alarm: true},
		{name: "four of ten within seconds", pops: 10, first: []string{"d", "e"}, second: []string{"f", "g"}, up: []string{"d", "e", "f", "g"}, alarm: true},
		{name: "four of ten within half a minute", pops: 10, first: []string{"d", "e", "f"}, third: []string{"g"}, down: []string{"d", "e", "f"}, up: []string{"g"}, alarm: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := votes(test.pops)
			w.kill(false, test.first...)
			w.until(3000)
			w.kill(false, test.second...)
			w.until(20_000)
			w.kill(false, test.third...)
			w.until(25_000)
			for _, p := range test.up {
				if got := w.pop(cdn.POPName(p)); got.State != cdn.POPUp {
					t.Errorf("%s is %q, want up", p, got.State)
				}
			}
			for _, p := range test.down {
				if got := w.pop(cdn.POPName(p)); got.State != cdn.POPDown {
					t.Errorf("%s is %q, want down", p, got.State)
				}
			}
			if alarms := w.t.View(at(w.now)).Alarms; len(alarms) > 0 != test.alarm {
				t.Errorf("alarms %q, want some: %v", alarms, test.alarm)
			}
		})
	}
}

// TestSuspicionEnds: it is believed after a minute, or forgotten at once when the POPs answer.
func TestSuspicionEnds(t *testing.T) {
	for _, answer := range []bool{false, true} {
		w := votes(10)
		w.kill(false, "d", "e", "f", "g")
		w.until(55_000)
		if got := w.pop("d"); got.State != cdn.POPUp {
			t.Fatalf("within the minute it is %q, want up", got.State)
		}
		if alarms := w.t.View(at(w.now)).Alarms; len(alarms) != 1 || !strings.Contains(alarms[0], "4 of 10 POPs") || !strings.Contains(alarms[0], "(d, e, f, g)") {
			t.Errorf("alarms %q", alarms)
		}
		want := cdn.POPDown
		if answer {
			w.kill(true, "d", "e", "f", "g")
			want = cdn.POPUp
		}
		w.until(65_000)
		if got := w.pop("d"); got.State != want {
			t.Errorf("answers %v: after the minute it is %q, want %q", answer, got.State, want)
		}
		if alarms := w.t.View(at(w.now)).Alarms; len(alarms) > 0 {
			t.Errorf("answers %v: alarms %q, want none", answer, alarms)
		}
		if got := w.pop("d"); answer && got.Share != 1 {
			t.Errorf("a POP that was kept up has a share of %v, want 1: it never fell", got.Share)
		}
	}
}

// TestStart: what was never seen up may be about to start with us.
func TestStart(t *testing.T) {
	w := newWorld(fleet(3, 1))
	w.self = map[string]bool{"a": false, "b": false, "c": false}
	w.until(9000)
	if got, alarms := w.pop("a"), w.t.View(at(w.now)).Alarms; !got.State.Usable() || len(alarms) > 0 {
		t.Errorf("it is %q with alarms %q, want usable and none", got.State, alarms)
	}
	w.self = map[string]bool{"a": true, "b": true, "c": false}
	w.until(12_000)
	if a, c := w.pop("a"), w.pop("c"); a.State != cdn.POPUp || a.Share != 1 || c.State != cdn.POPDown {
		t.Errorf("who came is %q with %v, who did not is %q; want up with 1, and down", a.State, a.Share, c.State)
	}
}

// TestBackstop: the WAN pool has a say only if all else is silent.
func TestBackstop(t *testing.T) {
	for _, test := range []struct {
		name    string
		reports bool
		vote    bool
		wan     map[cdn.NodeName]cdn.NodeState
		want    cdn.POPState
	}{
		{"nothing is known", false, false, nil, cdn.POPUnknown},
		{"its gateways are dead", false, false, map[cdn.NodeName]cdn.NodeState{"a1": cdn.StateDown, "a2": cdn.StateDown}, cdn.POPDown},
		{"one gateway is not", false, false, map[cdn.NodeName]cdn.NodeState{"a1": cdn.StateDown, "a2": cdn.StateReady}, cdn.POPUnknown},
		{"it reports", true, false, map[cdn.NodeName]cdn.NodeState{"a1": cdn.StateDown, "a2": cdn.StateDown}, cdn.POPUp},
		{"it answers", false, true, map[cdn.NodeName]cdn.NodeState{"a1": cdn.StateDown, "a2": cdn.StateDown}, cdn.POPUp},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(fleet(4, 3))
			w.wan = func(n cdn.NodeName) cdn.NodeState { return test.wan[n] }
			if test.reports {
				w.say["a1"] = []string{"a1 ready"}
			}
			if test.vote {
				w.self["a"] = true
			}
			w.until(15_000)
			if got := w.pop("a"); got.State != test.want {
				t.Errorf("it is %q, want %q", got.State, test.want)
			}
		})
	}
}

// TestNews: what is said again is no news, what is new is news once.
func TestNews(t *testing.T) {
	tr := liveness.New("rq", nil)
	tr.SetFleet(fleet(1, 2))
	r := &liveness.Report{From: "a1", POP: "a", Members: []liveness.Row{{Node: "a2", State: cdn.StateReady}}}
	for i, test := range []struct {
		state          cdn.NodeState
		report, states bool
	}{
		{cdn.StateReady, true, true},
		{cdn.StateReady, false, false},
		{cdn.StateDown, true, true},
		{cdn.StateDown, false, false},
	} {
		r.Version.Seq, r.Members[0].State = uint64(i+1), test.state
		news, err := tr.Report(at(i*1000), r)
		if states := tr.Step(at(i*1000), silence); err != nil || news != test.report || states != test.states {
			t.Errorf("report %d: news %v, of states %v (%v); want %v, %v", i, news, states, err, test.report, test.states)
		}
	}
}

// TestFleetChanges: those that stay keep what is known of them.
func TestFleetChanges(t *testing.T) {
	w := newWorld(fleet(1, 2))
	w.say["a1"] = []string{"a1 ready", "a2 down"}
	w.until(1000)
	w.t.SetFleet(fleet(2, 2))
	if !w.t.Step(at(w.now), silence) {
		t.Error("another fleet is no news")
	}
	if a, b := w.node("a2"), w.node("b1"); a != cdn.StateDown || b != cdn.StateUnknown {
		t.Errorf("%q and %q, want down and unknown", a, b)
	}
	w.t.SetFleet(fleet(1, 1))
	w.t.Step(at(w.now), silence)
	if got := w.node("a2"); got != "absent" {
		t.Errorf("a node that has left is %q", got)
	}
}

// TestSuspicionHolds: whatever is voted, at most 30 % of the POPs, or one, are taken down within 30 s.
func TestSuspicionHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "pops")
		w := newWorld(fleet(n, 1))
		for p := range n {
			w.self[string(rune('a'+p))] = true
		}
		w.until(1000)
		for range 5 {
			for p := range n {
				w.self[string(rune('a'+p))] = rapid.Bool().Draw(t, "up")
			}
			w.until(w.now + rapid.IntRange(100, 5000).Draw(t, "pause"))
			down := 0
			for _, p := range w.t.View(at(w.now)).POPs {
				if p.State == cdn.POPDown {
					down++
				}
			}
			if down > 1 && float64(down) > 0.3*float64(n) {
				t.Fatalf("%d of %d POPs are down", down, n)
			}
		}
	})
}

// TestIsland: nodes of a POP that cannot hear each other are not all dead: it answers, and they say so themselves.
func TestIsland(t *testing.T) {
	for _, test := range []struct {
		name   string
		say    map[string][]string
		a1, a2 cdn.NodeState
	}{
		{"each finds itself alone", map[string][]string{"a1": {"a1 ready", "a2 down"}, "a2": {"a1 down", "a2 ready"}}, cdn.StateReady, cdn.StateReady},
		{"one of them is starting", map[string][]string{"a1": {"a1 ready", "a2 down"}, "a2": {"a1 down", "a2 starting"}}, cdn.StateReady, cdn.StateStarting},
		{"one is vouched for", map[string][]string{"a1": {"a1 ready", "a2 down"}, "a2": {"a1 ready", "a2 ready"}}, cdn.StateReady, cdn.StateDown},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(fleet(1, 2))
			w.self["a"] = true
			w.say = test.say
			w.until(5000)
			if a1, a2 := w.node("a1"), w.node("a2"); a1 != test.a1 || a2 != test.a2 {
				t.Errorf("they are %q and %q, want %q and %q", a1, a2, test.a1, test.a2)
			}
			delete(w.say, "a2")
			w.say["a1"] = []string{"a1 ready", "a2 down"}
			w.until(8000)
			if a1, a2 := w.node("a1"), w.node("a2"); a1 != cdn.StateReady || a2 != cdn.StateDown {
				t.Errorf("when one is dead they are %q and %q, want ready and down", a1, a2)
			}
		})
	}
}

// TestHangs: the kernel of a POP whose processes hang opens connections for them: that it answers is no proof then.
func TestHangs(t *testing.T) {
	for _, test := range []struct {
		name string
		mute []string // whose reports end
		wan  cdn.NodeState
		want cdn.POPState
	}{
		{"its processes hang", []string{"a1"}, cdn.StateDown, cdn.POPDown},
		{"only its reports do not come", []string{"a1"}, cdn.StateReady, cdn.POPUp},
		{"it has no gateways", []string{"a1"}, cdn.StateUnknown, cdn.POPUp},
		{"we hear nobody", []string{"a1", "b1", "c1", "d1"}, cdn.StateDown, cdn.POPUp},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := votes(4)
			for _, by := range test.mute {
				delete(w.say, by)
			}
			w.wan = func(cdn.NodeName) cdn.NodeState { return test.wan }
			w.until(20_000)
			if got := w.pop("a"); got.State != test.want {
				t.Errorf("it is %q, want %q; votes %v", got.State, test.want, got.Votes)
			}
			w.say["a1"] = []string{"a1 ready"}
			w.until(30_000)
			if got := w.pop("a"); got.State != cdn.POPUp {
				t.Errorf("when it reports again it is %q, want up", got.State)
			}
		})
	}
}

// TestAbsent: a POP that was never seen up while most others are is not about to start with us, and raises no suspicion: it is not there.
func TestAbsent(t *testing.T) {
	w := newWorld(fleet(5, 1))
	w.self = map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": false}
	w.until(1500)
	if got := w.pop("e"); got.State != cdn.POPDown {
		t.Errorf("after our restart a dead POP is %q, want down", got.State)
	}
	w.self["e"] = true
	w.until(3000)
	if got := w.pop("e"); got.State != cdn.POPUp || got.Share != 1 {
		t.Errorf("one that starts a little later is %q with %v, want up with 1", got.State, got.Share)
	}
	w.until(60_000)
	w.t.SetFleet(fleet(8, 1))
	w.self["f"], w.self["g"], w.self["h"] = false, false, false
	w.until(90_000)
	if f, alarms := w.pop("f"), w.t.View(at(w.now)).Alarms; f.State != cdn.POPDown || len(alarms) > 0 {
		t.Errorf("one of three that are built is %q with alarms %q, want down and none", f.State, alarms)
	}
	w.self["f"] = true
	w.until(95_000)
	if f := w.pop("f"); f.State != cdn.POPUp || f.Share > 0.5 {
		t.Errorf("when it opens it is %q with %v, want up with little", f.State, f.Share)
	}
	w.until(100_000)
	if a := w.pop("a"); a.State != cdn.POPUp {
		t.Errorf("another is %q", a.State)
	}
}

// TestClockSetBack: a reporter that starts again with a clock that was set back is heard again as soon as its reports are taken again.
func TestClockSetBack(t *testing.T) {
	tr := liveness.New("rq", nil)
	tr.SetFleet(fleet(1, 2))
	say := func(ms int, incarnation int64, seq uint64, state cdn.NodeState) cdn.NodeState {
		t.Helper()
		if _, err := tr.Report(at(ms), &liveness.Report{
			From: "a1", POP: "a", Version: liveness.Version{Incarnation: incarnation, Seq: seq}, Members: []liveness.Row{{Node: "a2", State: state}},
		}); err != nil {
			t.Fatal(err)
		}
		tr.Step(at(ms), silence)
		return tr.View(at(ms)).Nodes[1].State
	}
	say(0, 7, 1, cdn.StateReady)
	say(30_000, 7, 2, cdn.StateDown)
	tr.Step(at(125_000), silence) // it has just looked for what to forget
	if got := say(151_000, 3, 1, cdn.StateReady); got != cdn.StateReady {
		t.Errorf("two minutes later it is %q, want ready", got)
	}
}
