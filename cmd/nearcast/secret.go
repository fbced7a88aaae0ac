package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"nearcast/cdn"
)

// Purposes of derived secrets.
const (
	forFeed      = "feed"
	forGossip    = "gossip"
	forHop       = "hop"
	forCookies   = "dns-cookies"
	forRedirect  = "redirect" // signatures of the 302 front's URLs
	forTable     = "route-table"
	forScheduler = "scheduler" // the schedulers' own APIs
	forZoneKeys  = "zone-keys" // the keys that sign zones, where they are stored
)

// readSecret reads the first secret of a file.
func readSecret(path string) (string, error) {
	all, err := readSecrets(path)
	if err != nil {
		return "", err
	}
	return all[0], nil
}

// readSecrets reads a secret file: one on each line. The first is in use; the gossip pools believe the others too, so that a secret can be
// replaced without anybody being cut off. Short secrets are refused: keys are derived from them.
func readSecrets(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a secret: %w", err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		secret := strings.TrimSpace(line)
		switch {
		case secret == "":
			continue
		case len(secret) < 16:
			return nil, cdn.Errorf(cdn.Invalid, "", "%s: a secret of at least 16 characters is needed on each line", path)
		}
		all = append(all, secret)
	}
	if len(all) == 0 {
		return nil, cdn.Errorf(cdn.Invalid, "", "%s: a secret of at least 16 characters is needed", path)
	}
	return all, nil
}

// derive returns the part of a secret for one purpose, so that no two
// protocols share a key.
func derive(secret, purpose string) string {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "nearcast/"+purpose, 32)
	if err != nil {
		panic("deriving a key: " + err.Error()) // only for lengths that are not asked for
	}
	return hex.EncodeToString(key)
}

// deriveEach returns the part for one purpose of each of several secrets, in their order: of the first what is in use, of the others what is believed too.
func deriveEach[T string | []byte](secrets []string, purpose string) []T {
	all := make([]T, len(secrets))
	for i, s := range secrets {
		all[i] = T(derive(s, purpose))
	}
	return all
}

// derive returns the part of the fleet's secret for one purpose.
func (r *role) derive(purpose string) string { return derive(r.secrets[0], purpose) }

// zoneSecrets returns what gives the parts for keys of zones of each secret that is in the file at the moment, the one in use first. While it cannot be
// read, those that were there at start are given.
func (r *role) zoneSecrets(path string) func() [][]byte {
	return func() [][]byte {
		secrets, err := readSecrets(path)
		if err != nil {
			secrets = r.secrets
		}
		return zoneSecrets(secrets)
	}
}

func zoneSecrets(secrets []string) [][]byte { return deriveEach[[]byte](secrets, forZoneKeys) }

// frontSecrets returns what a front that redirects or relays and the cache nodes share: what proves to a node who asks, and what redirects are signed
// with. Without a secret there is neither.
func frontSecrets(secrets []string) (hop string, redirect []byte) {
	if len(secrets) == 0 {
		return "", nil
	}
	return derive(secrets[0], forHop), []byte(derive(secrets[0], forRedirect))
}

// gossipSecrets returns the part for gossip of each secret that the fleet knows, the one in use first.
func gossipSecrets(secrets []string) []string { return deriveEach[string](secrets, forGossip) }

// secretInterval is how often the secret file is looked at.
const secretInterval = 2 * time.Second

// followSecrets hands on the gossip pools' secrets whenever the secret file has others. What cannot be read, or is refused, is logged
// once, and what was in use stays.
func (r *role) followSecrets(path string, apply func(secrets []string) error) func(context.Context) error {
	return func(ctx context.Context) error {
		used, wrong := r.secrets, complaint{}
		return every(ctx, secretInterval, func() {
			secrets, err := readSecrets(path)
			if err == nil && slices.Equal(secrets, used) {
				return
			}
			if err == nil {
				err = apply(gossipSecrets(secrets))
			}
			fresh := wrong.news(err)
			switch {
			case err == nil:
				r.log.InfoContext(ctx, "the gossip pools use the secrets that are in the file now", "file", path, "secrets", len(secrets))
				used = secrets
			case fresh:
				r.log.ErrorContext(ctx, "the secret file cannot be used; the secrets before it stay in use", "file", path, "error", err)
			}
		})
	}
}
