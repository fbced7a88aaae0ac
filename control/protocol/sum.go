package protocol

import (
	"crypto/sha256"
	"encoding/hex"
)

// Sum returns the checksum of an entry's octets, SHA-256 in hex. It is over the
// octets and not over the decoded value, so that a node of an older version, which does
// not know every field, can verify it too.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
