package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"nearcast/scheduler/httpdns"
)

// forged asks HTTPDNS where it wants signatures, with right ones and with wrong ones of each kind: the latter get 403, and nothing that tells which part
// is wrong.
func forged(ctx context.Context, o options, r *report) error {
	dir, err := os.MkdirTemp("", "nearcast-keys-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder for temporary files
	keys, key := filepath.Join(dir, "keys"), []byte("0123456789abcdef0123456789abcdef")
	if err := os.WriteFile(keys, append(append([]byte("app-1 "), key...), '\n'), 0o600); err != nil {
		return err
	}
	s, err := open(ctx, o, "--httpdns-keys", keys)
	if err != nil {
		return err
	}
	defer s.close()
	f := &forger{c: newClient(s, netip.Addr{}), key: key}
	defer f.c.close()
	if err := f.rightOnes(ctx); err != nil {
		return err
	}
	err = errors.Join(f.wrongOnes(ctx)...)
	r.say("forged: %d requests with signatures that are wrong, late or missing", f.asked)
	return err
}

type forger struct {
	c     *client
	key   []byte
	asked int
}

// request are the parameters of a request that is good until some time from now, signed.
func (f *forger) request(until time.Duration) url.Values {
	v := url.Values{"host": {"d1.cdn.test"}, "ip": {"10.1.2.3"}, "id": {"app-1"}, "t": {strconv.FormatInt(time.Now().Add(until).Unix(), 10)}}
	v.Set("sign", httpdns.Sign(f.key, v))
	return v
}

func (f *forger) send(ctx context.Context, v url.Values) (status int, body string, err error) {
	f.asked++
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.c.stage.Plain+"/resolve?"+v.Encode(), nil)
	if err != nil {
		return 0, "", err
	}
	resp, text, err := fetch(f.c.plain, req) //nolint:bodyclose // fetch reads all of it and closes it
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode, string(text), nil
}

// rightOnes are answered until they end, however often they are sent.
func (f *forger) rightOnes(ctx context.Context) error {
	for _, until := range []time.Duration{3 * time.Second, 9 * time.Minute} {
		v := f.request(until)
		for range 2 {
			if status, body, err := f.send(ctx, v); err != nil || status != http.StatusOK {
				return fmt.Errorf("with a right signature: %d %s (%w)", status, body, err)
			}
		}
	}
	v := f.request(time.Second) // again after it has ended
	for begin := time.Now(); ; {
		status, _, err := f.send(ctx, v)
		switch {
		case err != nil:
			return err
		case status == http.StatusForbidden && time.Since(begin) > 500*time.Millisecond:
			return nil
		case status != http.StatusOK && status != http.StatusForbidden, time.Since(begin) > forever:
			return fmt.Errorf("%d after %v, for a request that was good for a second", status, time.Since(begin))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// wrongOnes are refused.
func (f *forger) wrongOnes(ctx context.Context) (broken []error) {
	said := make(map[string]bool)
	refused := func(what string, v url.Values) {
		status, body, err := f.send(ctx, v)
		if err != nil || status != http.StatusForbidden {
			broken = append(broken, fmt.Errorf("%s: %d %s, want 403 (%w)", what, status, body, err))
		}
		said[body] = true
	}
	right := f.request(time.Minute).Get("sign")
	for i := range len(right) * 4 { // every bit of the signature
		v := f.request(time.Minute)
		sign := []byte(v.Get("sign"))
		digit, _ := strconv.ParseUint(string(sign[i/4]), 16, 8)
		sign[i/4] = strconv.FormatUint(digit^1<<(i%4), 16)[0]
		v.Set("sign", string(sign))
		refused(fmt.Sprintf("bit %d", i), v)
	}
	for _, change := range []struct{ name, value string }{
		{"sign", ""},
		{"sign", "00"},
		{"sign", right + "00"},
		{"sign", right[:62]},
		{"sign", right[:63]},
		{"sign", "zz"},
		{"id", ""},
		{"id", "app-2"},
		{"host", "d2.cdn.test"},
		{"ip", "10.1.2.4"},
		{"t", ""},
		{"t", "x"},
		{"t", "99999999999999999999"},
		{"t", "-1"},
		{"type", "4"},
	} {
		v := f.request(time.Minute)
		v.Set(change.name, change.value)
		refused(fmt.Sprintf("%s=%s", change.name, change.value), v)
	}
	for _, name := range []string{"sign", "id", "t", "ip"} {
		v := f.request(time.Minute)
		v.Del(name)
		refused("without "+name, v)
	}
	if len(said) != 1 {
		broken = append(broken, fmt.Errorf("what is said tells what is wrong: %v", said))
	}
	for _, until := range []time.Duration{-2 * time.Second, -time.Hour, 11 * time.Minute, 24 * time.Hour} {
		refused(fmt.Sprintf("good until %v from now", until), f.request(until))
	}
	return broken
}
