package gossip

import (
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"

	"nearcast/cdn"
)

// Kind says what a pool is for, and by that how quick and how large it can be.
type Kind string

// The kinds of pools.
const (
	// LAN is the pool of one POP's nodes: up to about 64, a millisecond from each other.
	LAN Kind = "lan"
	// WAN is the pool across POPs: two nodes of each, schedulers and route-quality servers, up to about 1,000.
	WAN Kind = "wan"
)

// settings are the protocol's numbers for one kind of pool.
type settings struct {
	probeInterval, probeTimeout     time.Duration
	indirectChecks                  int
	suspicionMult, suspicionMaxMult int
	awarenessMax                    int
	gossipInterval                  time.Duration
	gossipNodes, retransmitMult     int
	pushPullInterval, tcpTimeout    time.Duration
	rejoinDead                      time.Duration // how often seeds that look dead are called on
}

// settingsOf returns a kind's numbers; docs/decisions/0014-gossip.md has what was measured with them.
//
// The arithmetic of the LAN: a dead member is suspected at the end of the first probe that reaches for it (with 8 survivors 99 times in 100
// within 1.2 s, then 0.23 s of waiting) and dead 0.92 s after that if two more members agree. A member that is merely slow has those 0.92 s to
// contradict, is also asked over TCP and through two others, and a prober that finds itself slow takes more time.
//
// In a pool of up to nine everybody repeats a piece of news retransmitMult times. It misses a given member with a probability of about e^-n, more
// when members stand still, and who misses a contradiction is alone with its belief that a living member is dead: nobody contradicts it again. With
// the usual 3, one announcement in twenty is missed by somebody; with 8, one contradiction in some thousand. The full exchange heals what is missed,
// and with one every 2 s it mostly does so before a suspicion that nobody shares ends, after 5.5 s.
//
// The WAN's probes wait for no longer than the longest way around the globe takes, so that there is time to ask through others, and over TCP, before
// the interval ends: with 800 ms of 1,000 that is too short across the globe, and a lost packet is an accusation.
func settingsOf(k Kind) (settings, error) {
	switch k {
	case LAN:
		return settings{
			probeInterval: 230 * time.Millisecond, probeTimeout: 100 * time.Millisecond, indirectChecks: 2,
			suspicionMult: 4, suspicionMaxMult: 6, awarenessMax: 4,
			gossipInterval: 50 * time.Millisecond, gossipNodes: 3, retransmitMult: 24,
			pushPullInterval: 2 * time.Second, tcpTimeout: 2 * time.Second, rejoinDead: 10 * time.Second,
		}, nil
	case WAN:
		return settings{
			probeInterval: time.Second, probeTimeout: 400 * time.Millisecond, indirectChecks: 3,
			suspicionMult: 4, suspicionMaxMult: 6, awarenessMax: 8,
			gossipInterval: 200 * time.Millisecond, gossipNodes: 4, retransmitMult: 3,
			pushPullInterval: 30 * time.Second, tcpTimeout: 5 * time.Second, rejoinDead: 60 * time.Second,
		}, nil
	}
	return settings{}, fmt.Errorf("the pool's kind is %q, want %q or %q", k, LAN, WAN)
}

// label returns what keeps a pool's traffic apart from that of others that share a secret.
func label(cfg *Config) string {
	if cfg.Kind == LAN {
		return "nearcast/" + cfg.Cluster + "/lan/" + string(cfg.POP)
	}
	return "nearcast/" + cfg.Cluster + "/wan"
}

// listConfig returns the protocol's configuration.
func listConfig(cfg *Config, s settings, p *Pool) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = string(cfg.Node)
	c.Label = label(cfg)
	c.Keyring = p.keys.ring
	c.ProbeInterval, c.ProbeTimeout, c.IndirectChecks = s.probeInterval, s.probeTimeout, s.indirectChecks
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = s.suspicionMult, s.suspicionMaxMult
	c.AwarenessMaxMultiplier = s.awarenessMax
	c.GossipInterval, c.GossipNodes, c.RetransmitMult = s.gossipInterval, s.gossipNodes, s.retransmitMult
	c.PushPullInterval, c.TCPTimeout = s.pushPullInterval, s.tcpTimeout
	c.DeadNodeReclaimTime = 30 * time.Second
	c.EnableCompression = false // the messages are a few dozen octets
	c.Delegate, c.Events, c.Conflict, c.Alive, c.Ping = delegate{p}, events{p}, conflicts{p}, alive{p}, pings{p}
	c.Logger = newLogger(p.log, p.self, p.metrics)
	return c
}

// check finds what would make a pool that nobody could use, or that believes anybody.
func (cfg *Config) check() error {
	if _, err := cdn.ParseNodeName(string(cfg.Node)); err != nil {
		return err
	}
	if cfg.POP != "" {
		if _, err := cdn.ParsePOPName(string(cfg.POP)); err != nil {
			return err
		}
	}
	if cfg.Transport == nil && !cfg.Bind.IsValid() {
		return fmt.Errorf("no address to listen on")
	}
	if n := len(label(cfg)); n > maxLabel {
		return fmt.Errorf("the cluster's name is too long: its label has %d octets, at most %d are allowed", n, maxLabel)
	}
	return nil
}

// maxLabel is how long a label may be: every packet carries it.
const maxLabel = 128
