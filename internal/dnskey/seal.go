package dnskey

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"nearcast/cdn"
)

// sealer returns what encrypts private keys under a secret: AES-256-GCM, with a random nonce in front of the text.
func sealer(secret []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "nearcast/zone-key/seal", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// bound is what a sealed key cannot be taken away from: its ID and its public half.
func bound(k *cdn.ZoneKey) []byte { return append([]byte(k.ID+"\x00"), k.Public...) }

func seal(secret []byte, k *cdn.ZoneKey, scalar []byte) ([]byte, error) {
	if len(secret) == 0 {
		return nil, cdn.Errorf(cdn.Invalid, "", "there is no secret to seal keys of zones with")
	}
	aead, err := sealer(secret)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, scalar, bound(k)), nil
}

// unseal tries the secrets in turn.
func unseal(secrets [][]byte, k *cdn.ZoneKey) (scalar []byte, index int, err error) {
	for i, secret := range secrets {
		aead, err := sealer(secret)
		if err != nil {
			return nil, 0, err
		}
		if scalar, err := aead.Open(nil, nil, k.Sealed, bound(k)); err == nil {
			return scalar, i, nil
		}
	}
	return nil, 0, cdn.Errorf(cdn.Invalid, "", "key %s: none of the %d secrets known here opens it; it was sealed with a secret that must still be in the secret file, on a line of its own after the first", k.ID, len(secrets))
}
