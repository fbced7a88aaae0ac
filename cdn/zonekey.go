package cdn

import "time"

// KeyState is where a key that signs zones is in its life (RFC 7583).
type KeyState string

// The states, in their order. There is one key that is active at most, and it alone signs what is not the DNSKEY set.
const (
	KeyPublished KeyState = "published" // in the DNSKEY set, which it signs, until every resolver has it; then it is ready
	KeyReady     KeyState = "ready"     // in CDS and CDNSKEY: waits for its DS at the parent, which somebody confirms
	KeyActive    KeyState = "active"    // signs everything
	KeyRetired   KeyState = "retired"   // in the DNSKEY set until no signature and no DS of it can be in a cache
)

// ZoneKey is a key that signs all zones of the schedulers (a combined signing key, RFC 6781 section 3.1).
type ZoneKey struct {
	// ID is for people and programs; unique.
	ID string `json:"id"`
	// Public is the key as in a DNSKEY record of algorithm 13, ECDSA P-256 with SHA-256 (RFC 6605): 64 octets.
	Public []byte `json:"public"`
	// Sealed is the private key, encrypted under the fleet's secret.
	Sealed []byte `json:"sealed"`
	// State is the key's, since Since. Made is when the key was made.
	State KeyState  `json:"state"`
	Since time.Time `json:"since"`
	Made  time.Time `json:"made"`
}

// DNSKEYTTL is for how long resolvers may keep the keys, and what tells the parent of them (CDS, CDNSKEY).
const DNSKEYTTL = time.Hour

// SignatureLife is how long a signature of a zone is good at most, from when it was made. No record is kept longer than its signature.
const SignatureLife = 5 * 24 * time.Hour
