package dnssec

import (
	"bytes"
	"crypto/ecdsa"
	"slices"

	"nearcast/cdn"
	"nearcast/internal/dnskey"
	"nearcast/scheduler/rr"
)

// keyTTL is that of the sets that tell of keys.
var keyTTL = uint32(cdn.DNSKEYTTL.Seconds())

// Keys are the keys of a configuration, opened. They are immutable.
type Keys struct {
	all    []*key // in the order of the configuration
	active *key
	ready  *key // nil if there is none
	parent *key // whose DS is, or is to be, at the parent: the newest that is ready or active
}

type key struct {
	id      string
	public  []byte
	data    []byte // of its DNSKEY record
	tag     uint16
	private *ecdsa.PrivateKey
}

// Open opens the keys of a configuration with the first of the secrets that fits. There must be one that is active.
func Open(keys []cdn.ZoneKey, secrets ...[]byte) (*Keys, error) {
	return (*Keys)(nil).Next(keys, secrets...)
}

// Next is [Open], but those that are open in k, which may be nil, need no secret any more: they go on even if they are sealed with one that this process
// does not know yet.
func (k *Keys) Next(keys []cdn.ZoneKey, secrets ...[]byte) (*Keys, error) {
	next := &Keys{}
	for i := range keys {
		opened, err := k.open(&keys[i], secrets)
		if err != nil {
			return nil, err
		}
		next.all = append(next.all, opened)
		switch keys[i].State {
		case cdn.KeyPublished, cdn.KeyRetired:
		case cdn.KeyReady:
			next.parent, next.ready = opened, opened
		case cdn.KeyActive:
			if next.active != nil {
				return nil, cdn.Errorf(cdn.Invalid, "dnssec.Open", "keys %s and %s are both active", next.active.id, opened.id)
			}
			next.active = opened
		default:
			return nil, cdn.Errorf(cdn.Invalid, "dnssec.Open", "key %s is %q, which this version does not know", keys[i].ID, keys[i].State)
		}
	}
	if next.active == nil {
		return nil, cdn.Errorf(cdn.Invalid, "dnssec.Open", "none of the %d keys is active", len(keys))
	}
	if next.parent == nil {
		next.parent = next.active
	}
	return next, nil
}

// open returns a key, as it is open in k if it is.
func (k *Keys) open(sealed *cdn.ZoneKey, secrets [][]byte) (*key, error) {
	if k != nil {
		i := slices.IndexFunc(k.all, func(o *key) bool { return o.id == sealed.ID && bytes.Equal(o.public, sealed.Public) })
		if i >= 0 {
			return k.all[i], nil
		}
	}
	private, _, err := dnskey.Open(sealed, secrets)
	if err != nil {
		return nil, &cdn.Error{Op: "dnssec.Open", Kind: cdn.KindOf(err), Err: err}
	}
	return &key{
		id: sealed.ID, public: sealed.Public, data: dnskey.Data(sealed.Public), tag: dnskey.Tag(sealed.Public), private: private,
	}, nil
}

// DNSKEY returns the DNSKEY set of every zone.
func (k *Keys) DNSKEY() rr.Set {
	set := rr.Set{Type: rr.TypeDNSKEY, TTL: keyTTL}
	for _, one := range k.all {
		set.Data = append(set.Data, one.data)
	}
	slices.SortFunc(set.Data, bytes.Compare)
	return set
}

// CDNSKEY returns the key that the parent is to have, as CDNSKEY (RFC 7344 section 3.2).
func (k *Keys) CDNSKEY() rr.Set {
	return rr.Set{Type: rr.TypeCDNSKEY, TTL: keyTTL, Data: [][]byte{k.parent.data}}
}

// CDS returns the key that the parent is to have, as CDS (RFC 7344 section 3.1), of a zone: its name in wire form, lower case.
func (k *Keys) CDS(zone []byte) rr.Set {
	return rr.Set{Type: rr.TypeCDS, TTL: keyTTL, Data: [][]byte{dnskey.DS(zone, k.parent.public)}}
}

// DS returns what a zone that is signed by these keys, too, has of them for one below, its name in wire form and lower case: the key that is active, and the one that
// is ready to become it, so that either may.
func (k *Keys) DS(zone []byte) rr.Set {
	set := rr.Set{Type: rr.TypeDS, TTL: keyTTL, Data: [][]byte{dnskey.DS(zone, k.active.public)}}
	if k.ready != nil {
		set.Data = append(set.Data, dnskey.DS(zone, k.ready.public))
	}
	slices.SortFunc(set.Data, bytes.Compare)
	return set
}
