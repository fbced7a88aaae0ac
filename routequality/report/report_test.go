package report_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nearcast/cdn"
	"nearcast/routequality/report"
)

var (
	now     = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	netips  = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	nothing = cmpopts.EquateEmpty()
)

func load() *cdn.NodeLoad {
	return &cdn.NodeLoad{
		CPU: 0.25, Memory: 0.5, Connections: 0.01, Egress: 0.75, Disk: 0.125, Fills: 0.3,
		Requests: 12345.5, Octets: 9.5e8, HitRatio: 0.97, Errors: 0.001, Shedding: 2,
	}
}

func batch(networks int) *cdn.VisitorBatch {
	b := &cdn.VisitorBatch{At: now, Interval: 10 * time.Second, Dropped: 3, Sites: []cdn.SiteRate{{Site: "shop", Requests: 5, Octets: 6}}}
	for i := range networks {
		b.Samples = append(b.Samples, cdn.VisitorSample{
			Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(i >> 8), byte(i), 0}), 24),
			RTTs:    []float32{float32(10 + i%7), 12.25, 13.5, 80, 9.125, 22, 21.5, float32(i%97) + 0.375},
			Packets: 1000 + uint32(i*i%977), Lost: 1, Requests: 20 + uint32(i%13), Failed: 1, Octets: 123_456 + uint64(i*i),
		})
	}
	return b
}

// node returns a report of load.
func node(name string) report.Node {
	return report.Node{Node: cdn.NodeName(name), Incarnation: now.UnixMicro(), Seq: 7, At: now, Load: load()}
}

func pop() *report.POP {
	visitors := node("fra-2")
	visitors.Load, visitors.Visitors = nil, batch(3)
	return &report.POP{
		POP: "fra", From: "fra-1", Incarnation: now.UnixMicro(), Seq: 1, At: now,
		Members: []report.Member{{Node: "fra-1", State: cdn.StateReady, Incarnation: 5}, {Node: "fra-2", State: cdn.StateDown}, {Node: "fra-3"}},
		Nodes:   []report.Node{node("fra-1"), visitors},
		Votes:   []report.Vote{{POP: "lon", Up: true}, {POP: "nyc"}},
		Probes:  []report.Probe{{To: "lon", RTT: 12.5, At: now}, {To: "https://origin.example:8443", RTT: report.Lost, At: now}},
		Dropped: 9,
	}
}

func encode(t testing.TB, p interface{ Encode() ([]byte, error) }) []byte {
	t.Helper()
	body, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestPOPGoesAndComes(t *testing.T) {
	small, large := pop(), pop()
	for i := range 62 {
		large.Nodes = append(large.Nodes, node(fmt.Sprintf("node-%d", i)))
	}
	for name, c := range map[string]struct {
		pop    *report.POP
		coding string
	}{"small": {small, ""}, "large": {large, "gzip"}} {
		t.Run(name, func(t *testing.T) {
			body := encode(t, c.pop)
			if got := report.Encoding(body); got != c.coding {
				t.Errorf("coding %q of %d octets, want %q", got, len(body), c.coding)
			}
			got, refused, err := report.Decode(bytes.NewReader(body), now)
			if err != nil || refused.Count != 0 {
				t.Fatal(refused, err)
			}
			if diff := cmp.Diff(c.pop, got, netips, nothing); diff != "" {
				t.Errorf("what came is another report (-want +got):\n%s", diff)
			}
		})
	}
}

// change is a mistake in a report, and what is said of it.
type change struct {
	name string
	at   []any // where in the JSON: names and numbers
	to   any
	want string // part of the error
}

// mistake returns a report with a change.
func mistake(t *testing.T, c change) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(encode(t, pop()), &v); err != nil {
		t.Fatal(err)
	}
	set(v, c.at, c.to)
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func set(v any, at []any, to any) {
	for i, step := range at {
		last := i == len(at)-1
		switch step := step.(type) {
		case string:
			m := v.(map[string]any)
			if last {
				m[step] = to
			}
			v = m[step]
		case int:
			a := v.([]any)
			if last {
				a[step] = to
			}
			v = a[step]
		}
	}
}

func repeat(n int, v any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = v
	}
	return out
}

var tomorrow = now.Add(24 * time.Hour).Format(time.RFC3339)

// TestRefusedAsAWhole: without knowing who speaks, and when, nothing is believed.
func TestRefusedAsAWhole(t *testing.T) {
	for _, c := range []change{
		{"no POP", []any{"pop"}, nil, "pop"},
		{"no name", []any{"pop"}, "FRA", "POP name"},
		{"no sender", []any{"from"}, nil, "from"},
		{"no incarnation", []any{"incarnation"}, 0, "incarnation"},
		{"no number", []any{"seq"}, 0, "seq"},
		{"no time", []any{"at"}, nil, "at: it is missing"},
		{"from the future", []any{"at"}, now.Add(2*time.Minute + time.Second).Format(time.RFC3339), "2m1s in the future"},
		{"members are no list", []any{"members"}, "none", "members"},
		{"65 members", []any{"members"}, repeat(65, map[string]any{"node": "n"}), "members: it has more than 64"},
		{"129 nodes", []any{"nodes"}, repeat(129, map[string]any{}), "nodes: it has more than 128"},
		{"1025 votes", []any{"votes"}, repeat(1025, map[string]any{}), "votes: it has more than 1024"},
		{"4097 probes", []any{"probes"}, repeat(4097, map[string]any{}), "probes: it has more than 4096"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, refused, err := report.Decode(bytes.NewReader(mistake(t, c)), now)
			if got != nil || refused.Count != 0 || cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v, %v; want an error with %q", got, refused, err, c.want)
			}
		})
	}
}

func TestRefusedAsText(t *testing.T) {
	whole := encode(t, pop())
	compressed := func(text []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(text)
		z.Close()
		return b.Bytes()
	}
	bomb := compressed(append(whole, bytes.Repeat([]byte(" "), report.MaxBody)...))
	for name, c := range map[string]struct {
		body io.Reader
		want string
	}{
		"nothing":        {strings.NewReader(""), "unexpected end"},
		"no JSON":        {strings.NewReader("hello"), "invalid character"},
		"half":           {bytes.NewReader(whole[:len(whole)/2]), "unexpected end"},
		"two":            {bytes.NewReader(append(append([]byte{}, whole...), whole...)), "after top-level value"},
		"no gzip":        {strings.NewReader("\x1f\x8b hello"), "decompressing"},
		"half of a gzip": {bytes.NewReader(compressed(whole)[:50]), "reading"},
		"too long":       {io.MultiReader(bytes.NewReader(whole), bytes.NewReader(bytes.Repeat([]byte(" "), report.MaxBody))), "more than 8388608 octets"},
		"a bomb":         {bytes.NewReader(bomb), "more than 8388608 octets"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := report.Decode(c.body, now); cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want an error with %q", err, c.want)
			}
		})
	}
}

// TestRefusedInPart: one broken sensor costs one part, and everything else is believed.
func TestRefusedInPart(t *testing.T) {
	sample := func(field ...any) []any { return append([]any{"nodes", 1, "visitors", "samples", 1}, field...) }
	probe := func(field string) []any { return []any{"probes", 1, field} }
	for _, c := range []change{
		{"a member without a name", []any{"members", 1, "node"}, "", "members[1]: node name"},
		{"a member twice", []any{"members", 1, "node"}, "fra-1", "members[1]: node: fra-1 is there twice"},
		{"a member in no state", []any{"members", 1, "state"}, "tired", `members[1]: state: "tired"`},
		{"a member before time", []any{"members", 1, "incarnation"}, -1, "members[1]: incarnation"},
		{"a member that is none", []any{"members", 1}, 5, "members[1]"},
		{"a node without a name", []any{"nodes", 0, "node"}, "a b", "nodes[0]: node name"},
		{"a node without an incarnation", []any{"nodes", 0, "incarnation"}, -5, "nodes[0]: incarnation"},
		{"a node from the future", []any{"nodes", 0, "at"}, tomorrow, "nodes[0]: at: 2026-07-02T12:00:00Z is 24h0m0s in the future"},
		{"load below zero", []any{"nodes", 0, "load", "cpu"}, -0.1, "nodes[0].load: cpu: it is -0.1"},
		{"load above 20", []any{"nodes", 0, "load", "egress"}, 20.5, "nodes[0].load: egress: it is 20.5"},
		{"load in words", []any{"nodes", 0, "load", "egress"}, "much", "nodes[0].load"},
		{"octets that cannot be", []any{"nodes", 0, "load", "octets"}, 1e15, "nodes[0].load: octets"},
		{"a share above 1", []any{"nodes", 0, "load", "hit_ratio"}, 1.5, "nodes[0].load: hit_ratio"},
		{"a ladder without end", []any{"nodes", 0, "load", "shedding"}, 1000, "nodes[0].load: shedding"},
		{"a batch from the future", []any{"nodes", 1, "visitors", "at"}, tomorrow, "nodes[1].visitors: at"},
		{"a batch of no time", []any{"nodes", 1, "visitors", "interval"}, 0, "nodes[1].visitors: interval"},
		{"too many networks", []any{"nodes", 1, "visitors", "samples"}, repeat(4097, map[string]any{}), "nodes[1].visitors.samples: it has more than 4096"},
		{"too many sites", []any{"nodes", 1, "visitors", "sites"}, repeat(257, map[string]any{}), "nodes[1].visitors.sites: it has more than 256"},
		{"no network", sample("network"), "", "nodes[1].visitors.samples[1]: network"},
		{"a host", sample("network"), "192.0.2.1/32", "neither an IPv4 /24"},
		{"a mapped network", sample("network"), "::ffff:192.0.2.0/48", "neither an IPv4 /24"},
		{"an odd network", sample("network"), "192.0.2.1/24", "bits set"},
		{"multicast", sample("network"), "224.0.0.0/24", "no network of visitors"},
		{"a network twice", sample("network"), "100.0.0.0/24", "samples[1]: network: 100.0.0.0/24 is there twice"},
		{"a negative round trip", sample("rtts", 3), -2, "samples[1]: rtts: it is -2"},
		{"a long round trip", sample("rtts", 3), 30001, "samples[1]: rtts: it is 30001"},
		{"too large a round trip", sample("rtts", 3), 1e300, "samples[1]"},
		{"too many round trips", sample("rtts"), repeat(9, 1), "samples[1]: rtts: there are 9"},
		{"more lost than sent", sample("lost"), 5000, "samples[1]: lost: it is 5000"},
		{"more failures than requests", sample("failed"), 5000, "samples[1]: failed: it is 5000"},
		{"too many octets", sample("octets"), 2e13, "samples[1]: octets: it is 2e+13"},
		{"negative octets", sample("octets"), -1, "samples[1]"},
		{"a site without a name", []any{"nodes", 1, "visitors", "sites", 0, "site"}, "", "sites[0]: site"},
		{"a site that sends too much", []any{"nodes", 1, "visitors", "sites", 0, "octets"}, 2e13, "sites[0]: octets"},
		{"a vote on nobody", []any{"votes", 1, "pop"}, "", "votes[1]: POP name"},
		{"a vote on itself", []any{"votes", 1, "pop"}, "fra", "votes[1]: pop: fra does not vote on itself"},
		{"a vote twice", []any{"votes", 1, "pop"}, "lon", "votes[1]: pop: lon is there twice"},
		{"a probe of nothing", probe("to"), "", "probes[1]: to"},
		{"a probe of itself", probe("to"), "fra", "probes[1]: to: fra does not probe itself"},
		{"a probe of no origin", probe("to"), "ftp://origin.example", "probes[1]: to"},
		{"a probe of an odd origin", probe("to"), "https://origin.example/", `should be written "https://origin.example"`},
		{"a negative probe", probe("rtt"), -2, "probes[1]: rtt: it is -2"},
		{"a long probe", probe("rtt"), 30001, "probes[1]: rtt"},
		{"a probe from the future", probe("at"), tomorrow, "probes[1]: at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, refused, err := report.Decode(bytes.NewReader(mistake(t, c)), now)
			if err != nil {
				t.Fatal(err)
			}
			if refused.Count != 1 || !strings.Contains(refused.Errors[0].Error(), c.want) {
				t.Errorf("%d parts were refused, %v; want one with %q", refused.Count, refused.Errors, c.want)
			}
			if parts := count(pop()) - count(got); parts < 1 || parts > 5 {
				t.Errorf("%d parts are gone", parts) // five are those of a batch
			}
		})
	}
}

// count counts the parts of a report.
func count(p *report.POP) int {
	n := len(p.Members) + len(p.Nodes) + len(p.Votes) + len(p.Probes)
	for i := range p.Nodes {
		if p.Nodes[i].Load != nil {
			n++
		}
		if v := p.Nodes[i].Visitors; v != nil {
			n += 1 + len(v.Samples) + len(v.Sites)
		}
	}
	return n
}

// TestRefusedManyTimes: all are counted, the first few are told.
func TestRefusedManyTimes(t *testing.T) {
	c := change{at: []any{"probes"}, to: repeat(4096, map[string]any{})}
	_, refused, err := report.Decode(bytes.NewReader(mistake(t, c)), now)
	if err != nil || refused.Count != 4096 || len(refused.Errors) != 8 {
		t.Errorf("%d, of which %d are told, %v; want 4096 and 8", refused.Count, len(refused.Errors), err)
	}
}

// TestNewerSender: fields that a newer version has added are no mistake.
func TestNewerSender(t *testing.T) {
	c := change{at: []any{"nodes", 0, "mood"}, to: "good"}
	got, refused, err := report.Decode(bytes.NewReader(mistake(t, c)), now)
	if err != nil || refused.Count != 0 {
		t.Fatal(refused, err)
	}
	if diff := cmp.Diff(pop(), got, netips, nothing); diff != "" {
		t.Error(diff)
	}
}

func TestTooLong(t *testing.T) {
	p := pop()
	for range 16 {
		n := node("fra-2")
		n.Visitors = batch(report.MaxSamples)
		p.Nodes = append(p.Nodes, n)
	}
	if _, err := p.Encode(); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("%v, want a refusal", err)
	}
	n := node("fra-2")
	n.Visitors = batch(3 * report.MaxSamples)
	if _, err := n.Encode(); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("%v, want a refusal", err)
	}
}

func TestNodeGoesAndComes(t *testing.T) {
	visitors, bare, busy := node("fra-1"), node("fra-1"), node(strings.Repeat("n", 63))
	visitors.Load, visitors.Visitors = nil, batch(500)
	bare.Load = nil
	busy.Load = &cdn.NodeLoad{CPU: 20, Memory: 20, Connections: 20, Egress: 20, Disk: 20, Fills: 20, Requests: 1e8, Octets: 1.25e12, HitRatio: 1, Errors: 1, Shedding: 16}
	for name, c := range map[string]struct {
		node report.Node
		most int
	}{
		"load":      {node("fra-1"), 80},
		"full load": {busy, 150},
		"visitors":  {visitors, 20_000},
		"neither":   {bare, 150},
	} {
		t.Run(name, func(t *testing.T) {
			msg := encode(t, &c.node)
			t.Logf("%d octets", len(msg))
			if len(msg) > c.most {
				t.Errorf("%d octets, want at most %d", len(msg), c.most)
			}
			got, refused, err := report.DecodeNode(msg, now)
			if err != nil || refused.Count != 0 {
				t.Fatal(refused, err)
			}
			if diff := cmp.Diff(&c.node, got, netips, nothing); diff != "" {
				t.Errorf("what came is another report (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBrokenSensor: a load that cannot be costs the load, not the heartbeat.
func TestBrokenSensor(t *testing.T) {
	for name, breaks := range map[string]func(*cdn.NodeLoad){
		"no number": func(l *cdn.NodeLoad) { l.CPU = math.NaN() },
		"infinite":  func(l *cdn.NodeLoad) { l.Octets = math.Inf(1) },
		"negative":  func(l *cdn.NodeLoad) { l.Egress = -1 },
		"above 20":  func(l *cdn.NodeLoad) { l.Disk = 21 },
	} {
		t.Run(name, func(t *testing.T) {
			n := node("fra-1")
			breaks(n.Load)
			got, refused, err := report.DecodeNode(encode(t, &n), now)
			if err != nil {
				t.Fatal(err)
			}
			if refused.Count != 1 || got.Load != nil || got.Seq != n.Seq || got.Node != n.Node {
				t.Errorf("%+v, %v; want the heartbeat without the load", got, refused)
			}
		})
	}
}

func TestMalformedNode(t *testing.T) {
	good := node("fra-1")
	whole := encode(t, &good)
	for n := range whole {
		if _, _, err := report.DecodeNode(whole[:n], now); cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("the first %d octets: %v, want a refusal", n, err)
		}
	}
	if got, _, err := report.DecodeNode(append(whole, "what a newer one adds"...), now); err != nil || got.Seq != good.Seq {
		t.Errorf("%v, %v; want what is known", got, err)
	}
	if _, _, err := report.DecodeNode(append(whole, make([]byte, report.MaxPacket)...), now); err == nil {
		t.Error("more than a packet was taken")
	}
	early, nameless := good, good
	early.At, nameless.Node = now.Add(time.Hour), "-"
	for _, n := range []report.Node{early, nameless} {
		if _, _, err := report.DecodeNode(encode(t, &n), now); cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("%v, want a refusal", err)
		}
	}
	nameless.Node = cdn.NodeName(strings.Repeat("x", 256))
	if _, err := nameless.Encode(); err == nil {
		t.Error("a name of 256 octets was encoded")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, pop()))
	large := pop()
	large.Nodes[1].Visitors = batch(200)
	f.Add(encode(f, large))
	f.Add([]byte(`{"pop":"a","from":"b","incarnation":1,"seq":1,"at":"2026-07-01T12:00:00Z","nodes":[null,5,{}],"members":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, _, err := report.Decode(bytes.NewReader(body), now)
		if err != nil {
			if cdn.KindOf(err) != cdn.Invalid {
				t.Fatal(err)
			}
			return
		}
		again, refused, err := report.Decode(bytes.NewReader(encode(t, got)), now)
		if err != nil || refused.Count != 0 {
			t.Fatalf("what was taken is not taken again: %v, %v", refused, err)
		}
		if diff := cmp.Diff(got, again, netips, nothing); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzDecodeNode(f *testing.F) {
	n := node("fra-1")
	f.Add(encode(f, &n))
	n.Visitors = batch(100)
	f.Add(encode(f, &n))
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, _, err := report.DecodeNode(msg, now)
		if err != nil {
			if cdn.KindOf(err) != cdn.Invalid {
				t.Fatal(err)
			}
			return
		}
		again, refused, err := report.DecodeNode(encode(t, got), now)
		if err != nil || refused.Count != 0 {
			t.Fatalf("what was taken is not taken again: %v, %v", refused, err)
		}
		if got.Load != nil && got.Visitors == nil { // the compact form has microseconds
			got.At, again.At = got.At.Truncate(time.Microsecond).UTC(), again.At.Truncate(time.Microsecond)
			if diff := cmp.Diff(got, again, netips, nothing, cmpopts.EquateApprox(1e-6, 1e-4)); diff != "" {
				t.Fatal(diff)
			}
			return
		}
		if diff := cmp.Diff(got, again, netips, nothing); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	p := pop()
	p.Nodes = nil
	for i := range 6 {
		n := node(fmt.Sprintf("fra-%d", i))
		n.Load, n.Visitors = nil, batch(2000)
		p.Nodes = append(p.Nodes, n)
	}
	text, err := json.Marshal(p)
	if err != nil {
		b.Fatal(err)
	}
	body := encode(b, p)
	b.SetBytes(int64(len(text)))
	b.ReportMetric(float64(len(body)), "octets")
	for b.Loop() {
		if _, refused, err := report.Decode(bytes.NewReader(body), now); err != nil || refused.Count > 0 {
			b.Fatal(refused, err)
		}
	}
}
