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
}

// Digest returns the SHA-256 of the content, Fleet and Sites, in hex: equal
// content has an equal digest whatever its number.
func (s *Snapshot) Digest() string {
	content, err := json.Marshal(struct {
		Fleet Fleet
		Sites []Site
	}{s.Fleet, s.Sites})
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
