package httpjson_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
)

type document struct {
	Name string `json:"name"`
}

func TestRead(t *testing.T) {
	const flood = 16 << 20
	for _, tt := range []struct {
		name, body string
		ok         bool
	}{
		{"plain", `{"name":"a"}`, true},
		{"space", " {\"name\":\"a\"}\n\t ", true},
		{"empty", "", false},
		{"cut", `{"name":"a"`, false},
		{"type", `{"name":1}`, false},
		{"unknown", `{"name":"a","surname":"b"}`, false},
		{"second", `{"name":"a"}{}`, false},
		{"trailing", `{"name":"a"}]`, false},
		{"text", `{"name":"a"} x`, false},
		{"array", `[]`, false},
		{"deep", strings.Repeat("[", 20000), false},
		{"large", `{"name":"` + strings.Repeat("a", flood) + `"}`, false},
		{"overflowing", `{"name":"a"}` + strings.Repeat(" ", flood) + "x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got document
			err := httpjson.Read(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body)), &got)
			if tt.ok && (err != nil || got.Name != "a") {
				t.Errorf("read %+v, error %v", got, err)
			}
			if !tt.ok && cdn.KindOf(err) != cdn.Invalid {
				t.Errorf("error %v, want one of kind invalid", err)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	w := httptest.NewRecorder()
	httpjson.Write(w, http.StatusCreated, document{"a"})
	want := answer{http.StatusCreated, "application/json", "{\n  \"name\": \"a\"\n}\n"}
	if diff := cmp.Diff(want, answerOf(w)); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	w = httptest.NewRecorder()
	httpjson.Write(w, http.StatusOK, math.NaN())
	if w.Code != http.StatusInternalServerError {
		t.Errorf("a value that is not JSON: status %d, want 500", w.Code)
	}
}

// answer is what matters of an HTTP answer.
type answer struct {
	Status int
	Type   string
	Body   string
}

func answerOf(w *httptest.ResponseRecorder) answer {
	return answer{w.Code, w.Header().Get("Content-Type"), w.Body.String()}
}

// TestStatus: every kind has a status of its own, and what is unknown is the
// server's fault.
func TestStatus(t *testing.T) {
	for kind, want := range map[cdn.Kind]int{
		cdn.Other: 500, cdn.Invalid: 422, cdn.NotFound: 404, cdn.Conflict: 409,
		cdn.Unauthenticated: 401, cdn.Unavailable: 503, cdn.Timeout: 504, cdn.Kind(99): 500,
	} {
		if got := httpjson.Status(kind); got != want {
			t.Errorf("status of %v is %d, want %d", kind, got, want)
		}
	}
}

// mistakes is an error with a detail.
type mistakes struct{ detail any }

func (*mistakes) Error() string { return "2 mistakes" }
func (m *mistakes) Detail() any { return m.detail }

func TestWriteError(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want httpjson.Problem
	}{
		{"plain", io.EOF, httpjson.Problem{Title: "EOF", Status: 500, Kind: "other"}},
		{"kind", cdn.Errorf(cdn.Conflict, "apply", "too late"), httpjson.Problem{Title: "apply: too late", Status: 409, Kind: "conflict"}},
		{
			"detail", cdn.Errorf(cdn.Invalid, "", "compiling: %w", &mistakes{[]string{"a", "b"}}),
			httpjson.Problem{Title: "compiling: 2 mistakes", Status: 422, Kind: "invalid", Detail: []any{"a", "b"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			httpjson.WriteError(w, tt.err)
			var got httpjson.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
			if w.Code != tt.want.Status || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("status %d, header %v", w.Code, w.Header())
			}
		})
	}
	w := httptest.NewRecorder()
	httpjson.WriteError(w, cdn.Errorf(cdn.Invalid, "", "%w", &mistakes{math.Inf(1)}))
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "2 mistakes") {
		t.Errorf("with a detail that is not JSON: %d %q", w.Code, w.Body)
	}
}

func TestRequireBearer(t *testing.T) {
	for _, tt := range []struct {
		name, token, header string
		ok                  bool
	}{
		{"right", "s3cret", "Bearer s3cret", true},
		{"case", "s3cret", "bearer s3cret", true},
		{"wrong", "s3cret", "Bearer s3cres", false},
		{"prefix", "s3cret", "Bearer s3cre", false},
		{"longer", "s3cret", "Bearer s3crets", false},
		{"scheme", "s3cret", "Basic s3cret", false},
		{"bare", "s3cret", "s3cret", false},
		{"none", "s3cret", "", false},
		{"unset", "", "Bearer ", false},
		{"unset-none", "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := false
			h := httpjson.RequireBearer(tt.token, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
			r := httptest.NewRequest(http.MethodGet, "/secret", nil)
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if asked != tt.ok {
				t.Errorf("let through: %v, want %v", asked, tt.ok)
			}
			if tt.ok {
				return
			}
			const body = "{\n  \"title\": \"a valid bearer token is required\",\n  \"status\": 401,\n  \"kind\": \"unauthenticated\"\n}\n"
			if diff := cmp.Diff(answer{401, "application/problem+json", body}, answerOf(w)); diff != "" {
				t.Errorf("refusals differ (-want +got):\n%s", diff)
			}
			if w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Error("no WWW-Authenticate")
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"name":"a"}`)
	f.Add(`{"name":"a"}{}`)
	f.Add("\xff")
	f.Fuzz(func(t *testing.T, body string) {
		var got document
		err := httpjson.Read(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), &got)
		if err == nil && !json.Valid([]byte(body)) {
			t.Errorf("%q was read as %+v", body, got)
		}
		if err != nil && cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("error %v of kind %v", err, cdn.KindOf(err))
		}
	})
}

var _ httpjson.Detailed = (*mistakes)(nil)

func ExampleProblem() {
	w := httptest.NewRecorder()
	httpjson.WriteError(w, errors.New("no such site"))
	fmt.Print(w.Body)
	// Output:
	// {
	//   "title": "no such site",
	//   "status": 500,
	//   "kind": "other"
	// }
}
