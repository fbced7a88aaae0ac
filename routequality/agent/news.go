package agent

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/report"
)

// newsAge is how long news count: without newer ones every node outside is taken for healthy again.
const newsAge = 10 * time.Second

// heard is what this node has been told of others. It is guarded by Agent.mu.
type heard struct {
	unusable   map[cdn.NodeName]bool // of other POPs
	unusableAt time.Time             // when it was told
	loads      map[cdn.NodeName]float64
	loadsAt    time.Time // likewise
	servers    map[string]answered
	own        map[cdn.NodeName]busy // the POP's nodes, as they reported; kept by aggregators
}

// busy is a node's utilisation.
type busy struct {
	load float32
	at   time.Time // when it was reported
}

// answered is what a route-quality server answered last.
type answered struct {
	unusable []cdn.NodeName
	at       time.Time
}

// Usable reports whether another POP's node may be asked, as far as this one has been told within ten seconds.
func (a *Agent) Usable(node cdn.NodeName) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.heard.unusable[node] || a.cfg.Now().Sub(a.heard.unusableAt) > newsAge
}

// Loads are the utilisations of the POP's nodes, as far as they are known and not older than ten seconds. It must not be changed.
func (a *Agent) Loads() map[cdn.NodeName]float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cfg.Now().Sub(a.heard.loadsAt) > newsAge {
		return nil
	}
	return a.heard.loads
}

// noteLoad remembers how busy a node of the POP is.
func (a *Agent) noteLoad(n *report.Node) {
	if n.Load == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.heard.own == nil {
		a.heard.own = make(map[cdn.NodeName]busy)
	}
	if _, known := a.heard.own[n.Node]; known || len(a.heard.own) < report.MaxMembers {
		a.heard.own[n.Node] = busy{float32(n.Load.Utilisation()), a.cfg.Now()}
	}
}

// learn takes what a route-quality server answers, and tells the POP at once if it is new.
func (a *Agent) learn(server string, said *report.Answer) {
	a.mu.Lock()
	if a.heard.servers == nil {
		a.heard.servers = make(map[string]answered)
	}
	before := a.heard.servers[server].unusable
	a.heard.servers[server] = answered{said.Unusable, a.cfg.Now()}
	a.mu.Unlock()
	if !slices.Equal(before, said.Unusable) {
		kick(a.newsDue)
	}
}

// spreadNews tells the POP's nodes news when they are due. Whoever knows of some does not wait for a node that does not read them.
func (a *Agent) spreadNews(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.newsDue:
			a.tellNews(ctx)
		}
	}
}

// tellNews tells the POP's nodes, this one included, which others are not to be asked and how busy each of them is.
func (a *Agent) tellNews(ctx context.Context) {
	if !a.onDuty() {
		return
	}
	n := a.gatherNews()
	a.takeNews(n)
	msg, err := n.Encode()
	if err != nil { // its parts are bounded: what is said in a second is said again
		a.metrics.sent.WithLabelValues(kindNews, "impossible").Inc()
		return
	}
	send := a.cfg.Pool.Send
	if len(msg) > report.MaxPacket {
		send = a.cfg.Pool.SendReliably
	}
	var wg sync.WaitGroup
	for _, m := range a.cfg.Pool.Members() {
		if m.Name == a.cfg.Node || m.State == cdn.StateDown {
			continue
		}
		wg.Go(func() {
			outcome := "ok"
			if err := send(m.Name, msg); err != nil {
				outcome = "failed"
				a.cfg.Log.DebugContext(ctx, "news did not go out", "to", m.Name, "error", err)
			}
			a.metrics.sent.WithLabelValues(kindNews, outcome).Inc()
		})
	}
	wg.Wait()
}

// gatherNews puts together what fresh servers agree on, and the loads of the POP's living nodes.
func (a *Agent) gatherNews() *report.News {
	living := map[cdn.NodeName]bool{a.cfg.Node: true}
	for _, m := range a.cfg.Pool.Members() {
		living[m.Name] = m.State != cdn.StateDown
	}
	now := a.cfg.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	n := &report.News{Loads: make(map[cdn.NodeName]float32, len(a.heard.own))}
	said, fresh := make(map[cdn.NodeName]int), 0
	for _, s := range a.heard.servers {
		if now.Sub(s.at) > newsAge {
			continue
		}
		fresh++
		for _, node := range s.unusable {
			said[node]++
		}
	}
	n.Blind = fresh == 0
	for _, node := range slices.Sorted(maps.Keys(said)) {
		if said[node] == fresh && len(n.Unusable) < report.MaxUnusable {
			n.Unusable = append(n.Unusable, node)
		}
	}
	maps.DeleteFunc(a.heard.own, func(node cdn.NodeName, b busy) bool { return !living[node] || now.Sub(b.at) > newsAge })
	for node, b := range a.heard.own {
		n.Loads[node] = b.load
	}
	return n
}

// takeNews believes an aggregator.
func (a *Agent) takeNews(n *report.News) {
	unusable := make(map[cdn.NodeName]bool, len(n.Unusable))
	for _, node := range n.Unusable {
		unusable[node] = true
	}
	loads := make(map[cdn.NodeName]float64, len(n.Loads))
	for node, load := range n.Loads {
		loads[node] = float64(load)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.cfg.Now()
	a.heard.loads, a.heard.loadsAt = loads, now
	if !n.Blind { // else the other aggregator may know more
		a.heard.unusable, a.heard.unusableAt = unusable, now
	}
}

// newsFrom takes a message of an aggregator.
func (a *Agent) newsFrom(from cdn.NodeName, msg []byte) {
	n, err := report.DecodeNews(msg)
	outcome := "ok"
	switch {
	case err != nil:
		outcome = "malformed"
		a.cfg.Log.Debug("news of the POP are malformed", "from", from, "error", err)
	case !a.isMember(from):
		outcome = "stranger"
	default:
		a.takeNews(n)
	}
	a.metrics.received.WithLabelValues(outcome).Inc()
}
