package table_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/gzip"

	"nearcast/cdn"
	"nearcast/routequality/paths"
	"nearcast/routequality/table"
)

// crowd is so many groups of 10 paths each, to 300 POPs.
func crowd(n int) []*cdn.VisitorGroup {
	dice := rand.New(rand.NewPCG(1, 2))
	all := make([]*cdn.VisitorGroup, n)
	for i := range all {
		g := &cdn.VisitorGroup{Name: cdn.GroupName(fmt.Sprintf("place AS%06d/DE/BY/Town %d", i, i)), Octets: float64(dice.IntN(1e6)), Requests: float64(dice.IntN(100))}
		for p := range 10 {
			ms := float32(dice.IntN(20000)) / 100
			g.Paths = append(g.Paths, cdn.Path{POP: cdn.POPName(fmt.Sprintf("pop%03d", p*30+dice.IntN(30))), Quality: cdn.Quality{
				R50: ms, R90: ms + 10, Loss: float32(dice.IntN(100)) / 1e4, N: float32(dice.IntN(1000)) / 10, Measured: 1_767_225_600,
			}})
		}
		all[i] = g
	}
	return all
}

// BenchmarkTable is a table of 200,000 groups: what a newcomer gets, and a slot in which 5 % of them are others.
func BenchmarkTable(b *testing.B) {
	all := crowd(200_000)
	build := table.New("e")
	must := noError(b)
	first := must(build.Slot(at(0), table.News{}, paths.Change{Groups: all}))
	var some []*cdn.VisitorGroup
	for i := 0; i < len(all); i += 20 {
		g := *all[i]
		some = append(some, &g)
	}
	second := must(build.Slot(at(5), table.News{}, paths.Change{Groups: some}))
	b.Run("build", func(b *testing.B) {
		for i := range b.N {
			must(build.Slot(at(5*i+10), table.News{}, paths.Change{Groups: some}))
		}
	})
	for _, v := range []struct {
		name string
		of   *cdn.RouteTable
	}{{"whole", first.Whole}, {"diff", second.Diff}} {
		parts := func(packed bool) [][]byte {
			f := table.NewFeed()
			f.Publish(table.Version{Whole: v.of})
			pieces, _ := f.After("", 0)
			parts, err := table.Answer(pieces, packed)
			if err != nil {
				b.Fatal(err)
			}
			return parts
		}
		b.Run("encode/"+v.name, func(b *testing.B) {
			n := 0
			for range b.N {
				n = len(bytes.Join(parts(false), nil))
			}
			b.ReportMetric(float64(n)/1e6, "MB")
		})
		b.Run("pack/"+v.name, func(b *testing.B) {
			n := 0
			for range b.N {
				n = len(bytes.Join(parts(true), nil))
			}
			b.ReportMetric(float64(n)/1e6, "MB")
		})
		text := bytes.Join(parts(true), nil)
		b.Run("merge/"+v.name, func(b *testing.B) {
			for range b.N {
				r, err := gzip.NewReader(bytes.NewReader(text))
				if err != nil {
					b.Fatal(err)
				}
				if err := table.Read(r, 256<<20, func(t *cdn.RouteTable) error {
					_, err := t.Over(first.Whole)
					return err
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
