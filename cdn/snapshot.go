package cdn

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// Generation numbers the versions of the configuration: 1, 2, 3, ... Zero means none.
type Generation uint64

// Snapshot is one whole version of the configuration: what every node of the CDN
// runs. It is immutable; a change makes a new one under the next number.
type Snapshot struct {
	// Generation is this version's number. It is not part of the digest.
	Generation Generation `json:"generation"`
	// At is when the version was made, by the control plane's clock.
	At time.Time `json:"at"`
	// By says who made it.
	By string `json:"by,omitempty"`
	// Fleet is the machines.
	Fleet Fleet `json:"fleet"`
	// Sites are the customers' sites, sorted by name.
	Sites []Site `json:"sites"`
	// Drains are the POPs and nodes that operators are emptying, in the order of [Drain.Name].
	Drains []Drain `json:"drains,omitempty"`
	// ZoneKeys sign the zones if [DNS.Signed] says so; in the order in which they were made.
	ZoneKeys []ZoneKey `json:"zone_keys,omitempty"`
}

// Drain says that a POP or a node is to get no new visitors.
type Drain struct {
	// POP or Node is what is drained; the other is empty.
	POP  POPName  `json:"pop,omitempty"`
	Node NodeName `json:"node,omitempty"`
	// Since is when it began, by the control plane's clock.
	Since time.Time `json:"since"`
	// By says who asked for it.
	By string `json:"by,omitempty"`
}

// Name is what is drained: "pop fra" or "node fra-1".
func (d Drain) Name() string {
	if d.POP != "" {
		return "pop " + string(d.POP)
	}
	return "node " + string(d.Node)
}

// Digest returns the SHA-256 of the content (Fleet, Sites, Drains and ZoneKeys) in hex: equal
// content has an equal digest whatever its number.
func (s *Snapshot) Digest() string {
	content, err := json.Marshal(struct {
		Fleet    Fleet
		Sites    []Site
		Drains   []Drain   `json:",omitempty"`
		ZoneKeys []ZoneKey `json:",omitempty"`
	}{s.Fleet, s.Sites, s.Drains, s.ZoneKeys})
	if err != nil {
		panic("cdn: a snapshot does not marshal: " + err.Error()) // only types without custom failures
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Site returns the site of that name, or nil.
func (s *Snapshot) Site(name SiteName) *Site {
	for i := range s.Sites {
		if s.Sites[i].Name == name {
			return &s.Sites[i]
		}
	}
	return nil
}

// SiteOf returns the site that serves the domain, or nil. It searches linearly;
// data planes build their own index.
func (s *Snapshot) SiteOf(d Domain) *Site {
	for i := range s.Sites {
		if slices.Contains(s.Sites[i].Domains, d) {
			return &s.Sites[i]
		}
	}
	return nil
}
