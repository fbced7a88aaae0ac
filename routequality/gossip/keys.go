package gossip

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"
)

// maxSecrets bounds how many keys a packet from a stranger is tried with.
const maxSecrets = 8

// keys are the traffic keys, made from the fleet's secrets.
type keys struct {
	ring *memberlist.Keyring
	mu   sync.Mutex // orders those that change ring
}

func (k *keys) init(secrets []string) error {
	want, err := deriveKeys(secrets)
	if err != nil {
		return err
	}
	k.ring, err = memberlist.NewKeyring(want, want[0])
	return err
}

func deriveKeys(secrets []string) ([][]byte, error) {
	switch {
	case len(secrets) == 0 || slices.Contains(secrets, ""):
		return nil, errors.New("no fleet secret, or an empty one: an open pool would believe anybody")
	case len(secrets) > maxSecrets:
		return nil, fmt.Errorf("%d fleet secrets, at most %d are used: remove those of past rotations", len(secrets), maxSecrets)
	}
	derived := make([][]byte, len(secrets))
	for i, secret := range secrets {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, "nearcast gossip AES-256-GCM key 1", 32)
		if err != nil {
			return nil, fmt.Errorf("making the traffic key: %w", err)
		}
		derived[i] = key
	}
	return derived, nil
}

// set makes the ring hold these keys. The ring removes a key in place, under the eyes of those who decrypt; only the last one can be removed
// without moving any other, so those that go are first moved to the end.
func (k *keys) set(secrets []string) error {
	want, err := deriveKeys(secrets)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range want {
		if err := k.ring.AddKey(key); err != nil {
			return err
		}
	}
	for _, key := range slices.Backward(want) {
		if err := k.ring.UseKey(key); err != nil {
			return err
		}
	}
	have := k.ring.GetKeys()
	for _, key := range slices.Backward(have) {
		if slices.ContainsFunc(want, func(w []byte) bool { return bytes.Equal(w, key) }) {
			continue
		}
		if err := k.ring.RemoveKey(key); err != nil {
			return err
		}
	}
	return nil
}

// SetSecrets changes the fleet's secrets: the first is used for sending from now on, all of them for reading, and those that are not among them
// are forgotten. To replace a secret without losing a member, give all members the new one as the second, then as the first, then alone. At most
// eight, none empty, or nothing changes.
func (p *Pool) SetSecrets(secrets []string) error {
	if err := p.keys.set(secrets); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	return nil
}
