package httpdns_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"nearcast/scheduler/httpdns"
)

const newKey = "another secret, newer than that"

// Keys count from when they are set, and no longer than they are there. What would open the door to everybody is refused.
func TestSetKeys(t *testing.T) {
	s := serve(t, signed)
	const host = "host=www.shop.example"
	old := signedQuery(appKey, noon, host)
	other := strings.Replace(signedQuery(newKey, noon, host), "id=app-1", "id=app-2", 1) // with the signature for another ID
	newer := func() string {
		values := map[string][]string{"host": {"www.shop.example"}, "id": {"app-2"}, "t": {"1800000000"}}
		return "host=www.shop.example&id=app-2&t=1800000000&sign=" + httpdns.Sign([]byte(newKey), values)
	}()
	for _, step := range []struct {
		what       string
		keys       map[string][]byte
		problem    string
		old, newer int
	}{
		{"as they were", map[string][]byte{"app-1": []byte(appKey)}, "", 200, 403},
		{"one comes", map[string][]byte{"app-1": []byte(appKey), "app-2": []byte(newKey)}, "", 200, 200},
		{"too short", map[string][]byte{"app-2": []byte("short")}, "fewer than 16", 200, 200},
		{"without an ID", map[string][]byte{"": []byte(newKey)}, "no ID", 200, 200},
		{"none", nil, "everybody could ask", 200, 200},
		{"one goes", map[string][]byte{"app-2": []byte(newKey)}, "", 403, 200},
		{"one changes", map[string][]byte{"app-1": []byte(newKey), "app-2": []byte(appKey)}, "", 403, 403},
	} {
		err := s.SetKeys(step.keys)
		if (err == nil) != (step.problem == "") || err != nil && !strings.Contains(err.Error(), step.problem) {
			t.Errorf("%s: %v, want %q", step.what, err, step.problem)
		}
		for query, want := range map[string]int{old: step.old, newer: step.newer, other: 403, host: 403} {
			if w := get(s, query); w.Code != want {
				t.Errorf("%s: %s: %d, want %d", step.what, query, w.Code, want)
			}
		}
	}
	open := serve(t)
	if w := get(open, host); w.Code != 200 {
		t.Errorf("without keys: %d", w.Code)
	}
	if err := open.SetKeys(map[string][]byte{"app-1": []byte(appKey)}); err != nil {
		t.Error(err)
	}
	if w := get(open, host); w.Code != 403 {
		t.Errorf("the door is shut, and %d", w.Code)
	}
}

// Whoever has a key that stays is never refused while others come and go.
func TestSetKeysDropsNobody(t *testing.T) {
	s := serve(t, signed)
	query := signedQuery(appKey, noon, "host=www.shop.example")
	var others sync.WaitGroup
	done := make(chan struct{})
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			next := map[string][]byte{"app-1": []byte(appKey)}
			if i%2 == 0 {
				next["app-2"] = []byte(newKey)
			}
			if err := s.SetKeys(next); err != nil {
				t.Error(err)
			}
		}
	})
	for range 2000 {
		if w := get(s, query); w.Code != http.StatusOK {
			t.Error(w.Code, w.Body)
		}
	}
	close(done)
	others.Wait()
}
