// Package dnskey makes keys that sign zones, ECDSA P-256 with SHA-256 (RFC 6605), seals their private halves so that they can be stored and sent,
// and writes what the DNS says of them: DNSKEY, DS, key tag.
//
// It is not for signing records, which scheduler/dnssec does, nor for when a key comes and goes, which control/zonekey says.
package dnskey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"nearcast/cdn"
)

const (
	algorithm = 13 // ECDSAP256SHA256
	digest    = 2  // SHA-256, of DS records
	flags     = 257
	protocol  = 3
)

// New makes a key, published now, whose private half only the secret opens. Its ID and its tag differ from those of the others.
func New(secret []byte, now time.Time, others []cdn.ZoneKey) (cdn.ZoneKey, error) {
	for {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return cdn.ZoneKey{}, fmt.Errorf("making a key: %w", err)
		}
		point, err := private.PublicKey.Bytes() // 4, x, y
		if err != nil {
			return cdn.ZoneKey{}, fmt.Errorf("making a key: %w", err)
		}
		now = now.UTC().Truncate(time.Second)
		k := cdn.ZoneKey{Public: point[1:], State: cdn.KeyPublished, Since: now, Made: now}
		k.ID = fmt.Sprintf("%s-%05d", now.Format("20060102"), Tag(k.Public))
		if slices.ContainsFunc(others, func(o cdn.ZoneKey) bool { return Tag(o.Public) == Tag(k.Public) }) {
			continue // one in 65,536
		}
		scalar, err := private.Bytes()
		if err != nil {
			return cdn.ZoneKey{}, fmt.Errorf("making a key: %w", err)
		}
		k.Sealed, err = seal(secret, &k, scalar)
		return k, err
	}
}

// Open returns the private half of a key, and which of the secrets opens it.
func Open(k *cdn.ZoneKey, secrets [][]byte) (private *ecdsa.PrivateKey, index int, err error) {
	if len(k.Public) != 64 {
		return nil, 0, cdn.Errorf(cdn.Invalid, "", "key %s: the public key has %d octets, want 64", k.ID, len(k.Public))
	}
	scalar, index, err := unseal(secrets, k)
	if err != nil {
		return nil, 0, err
	}
	private, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		return nil, 0, cdn.Errorf(cdn.Invalid, "", "key %s: %w", k.ID, err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil || !bytes.Equal(point[1:], k.Public) {
		return nil, 0, cdn.Errorf(cdn.Invalid, "", "key %s: the public and the private key do not belong together", k.ID)
	}
	return private, index, nil
}

// Reseal returns the key sealed with the first of the secrets, and whether that is new.
func Reseal(k cdn.ZoneKey, secrets [][]byte) (cdn.ZoneKey, bool, error) {
	scalar, index, err := unseal(secrets, &k)
	if err != nil || index == 0 {
		return k, false, err
	}
	k.Sealed, err = seal(secrets[0], &k, scalar)
	return k, err == nil, err
}

// Data returns the RDATA of the DNSKEY record, and of CDNSKEY, of a public key.
func Data(public []byte) []byte {
	data := binary.BigEndian.AppendUint16(make([]byte, 0, 4+len(public)), flags)
	return append(append(data, protocol, algorithm), public...)
}

// Tag returns the key tag of a public key (RFC 4034 appendix B).
func Tag(public []byte) uint16 {
	var sum uint32
	for i, octet := range Data(public) {
		if i%2 == 0 {
			sum += uint32(octet) << 8
		} else {
			sum += uint32(octet)
		}
	}
	return uint16(sum + sum>>16)
}

// DS returns the RDATA of the DS record, and of CDS, of a public key in a zone, whose name is in wire form and lower case.
func DS(zone, public []byte) []byte {
	hash := sha256.New()
	hash.Write(zone)
	hash.Write(Data(public))
	data := binary.BigEndian.AppendUint16(make([]byte, 0, 4+sha256.Size), Tag(public))
	return hash.Sum(append(data, algorithm, digest))
}

// DSText returns the DS record of a public key in a zone as in a zone file, without a TTL: what the parent wants to have.
func DSText(zone cdn.Domain, public []byte) string {
	data := DS(zone.Wire(), public)
	return fmt.Sprintf("%s. IN DS %d %d %d %s", zone, Tag(public), data[2], data[3], strings.ToUpper(hex.EncodeToString(data[4:])))
}
