package httpcache_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

const (
	ignored       = httpcache.RangeIgnored
	partial       = httpcache.RangePartial
	unsatisfiable = httpcache.RangeUnsatisfiable
)

// part is the range of the octets from first to last.
func part(first, last int64) httpcache.Range {
	return httpcache.Range{Start: first, Length: last - first + 1}
}

// rangeTests: RFC 9110 sections 14.1.1, 14.1.2 and 14.2, for a body of 100 octets.
var rangeTests = []struct {
	field   string
	want    []httpcache.Range
	verdict httpcache.RangeVerdict
}{
	{"bytes=0-4", []httpcache.Range{part(0, 4)}, partial},
	{"BYTES=99-99", []httpcache.Range{part(99, 99)}, partial},
	{"bytes=50-", []httpcache.Range{part(50, 99)}, partial},
	{"bytes=50-1000", []httpcache.Range{part(50, 99)}, partial},
	{"bytes=0-99999999999999999999", []httpcache.Range{part(0, 99)}, partial},
	{"bytes=-3", []httpcache.Range{part(97, 99)}, partial},
	{"bytes=-300", []httpcache.Range{part(0, 99)}, partial},
	{"bytes=-99999999999999999999", []httpcache.Range{part(0, 99)}, partial},
	{"bytes=007-8", []httpcache.Range{part(7, 8)}, partial},
	{"bytes=100-", nil, unsatisfiable},
	{"bytes=99999999999999999999-", nil, unsatisfiable},
	{"bytes=-0", nil, unsatisfiable},
	{"bytes=4-3", nil, ignored},
	{"bytes=", nil, ignored},
	{"bytes=,", nil, ignored},
	{"bytes=a-b", nil, ignored},
	{"bytes=1-b", nil, ignored},
	{"bytes=-b", nil, ignored},
	{"bytes=-", nil, ignored},
	{"bytes=5", nil, ignored},
	{"bytes=1 - 2", nil, ignored},
	{"bytes=+1-2", nil, ignored},
	{"bytes =0-4", nil, ignored},
	{"bytes 0-4", nil, ignored},
	{"lines=0-4", nil, ignored},
	{"", nil, ignored},

	{"bytes=0-1,4-5", []httpcache.Range{part(0, 1), part(4, 5)}, partial},
	{"bytes= 0-1 ,\t4-5,,", []httpcache.Range{part(0, 1), part(4, 5)}, partial},
	{"bytes=4-5,0-1", []httpcache.Range{part(0, 1), part(4, 5)}, partial},
	{"bytes=0-1,2-5", []httpcache.Range{part(0, 5)}, partial},
	{"bytes=0-9,5-14", []httpcache.Range{part(0, 14)}, partial},
	{"bytes=0-9,2-3", []httpcache.Range{part(0, 9)}, partial},
	{"bytes=0-1,-2", []httpcache.Range{part(0, 1), part(98, 99)}, partial},
	{"bytes=0-1,100-200,-0", []httpcache.Range{part(0, 1)}, partial},
	{"bytes=100-200,300-", nil, unsatisfiable},
	{"bytes=0-1,x", nil, ignored},
	{"bytes=0-,0-0", []httpcache.Range{part(0, 99)}, partial},
	{"bytes=0-49,0-49", []httpcache.Range{part(0, 49)}, partial},
	{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14", []httpcache.Range{
		part(0, 0), part(2, 2), part(4, 4), part(6, 6), part(8, 8), part(10, 10), part(12, 12), part(14, 14),
	}, partial},
	{"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16", nil, ignored},
	{"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8", []httpcache.Range{part(0, 8)}, partial},
	{"bytes=" + strings.Repeat("0-0,", 999) + "1-1", []httpcache.Range{part(0, 1)}, partial},
	{"bytes=" + strings.Repeat("0-0,", 4096) + "1-1", nil, ignored},
}

func TestParseRanges(t *testing.T) {
	for _, tt := range rangeTests {
		got, verdict := httpcache.ParseRanges(tt.field, 100)
		if diff := cmp.Diff(tt.want, got); diff != "" || verdict != tt.verdict {
			t.Errorf("ParseRanges(%q) = %+v, %v, want %+v, %v", tt.field, got, verdict, tt.want, tt.verdict)
		}
	}
}

// TestParseRangesEmpty: RFC 9110 section 14.1.2 for a body of no octets.
func TestParseRangesEmpty(t *testing.T) {
	for field, want := range map[string]httpcache.RangeVerdict{
		"bytes=0-": unsatisfiable, "bytes=0-0": unsatisfiable, "bytes=-0": unsatisfiable, "bytes=-1": ignored,
	} {
		if _, got := httpcache.ParseRanges(field, 0); got != want {
			t.Errorf("ParseRanges(%q, 0) = %v, want %v", field, got, want)
		}
	}
	if _, got := httpcache.ParseRanges("bytes=0-", -1); got != ignored {
		t.Errorf("ParseRanges of a body of unknown size = %v, want it ignored", got)
	}
	if got, _ := httpcache.ParseRanges("bytes=1-", math.MaxInt64); len(got) != 1 || got[0].End() != math.MaxInt64 {
		t.Errorf("ParseRanges of the largest body = %v", got)
	}
}

func TestRangeFields(t *testing.T) {
	if got := part(5, 9).ContentRange(20); got != "bytes 5-9/20" {
		t.Errorf("ContentRange = %q", got)
	}
	if got := httpcache.Unsatisfied(20); got != "bytes */20" {
		t.Errorf("Unsatisfied = %q", got)
	}
}

func FuzzParseRanges(f *testing.F) {
	for _, tt := range rangeTests {
		f.Add(tt.field, int64(100))
	}
	f.Add("bytes=--1", int64(0))
	f.Fuzz(func(t *testing.T, field string, size int64) {
		ranges, verdict := httpcache.ParseRanges(field, size)
		if (verdict == partial) != (len(ranges) > 0) || len(ranges) > 8 {
			t.Errorf("ParseRanges(%q, %d) = %+v, %v", field, size, ranges, verdict)
		}
		last := int64(-1)
		for _, r := range ranges {
			if r.Start <= last || r.Length <= 0 || r.Length > size-r.Start {
				t.Errorf("ParseRanges(%q, %d) = %+v: out of order or of the body", field, size, ranges)
			}
			last = r.End() // the next one must leave a gap
		}
	})
}
