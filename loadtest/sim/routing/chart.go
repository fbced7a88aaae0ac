package main

import (
	"fmt"
	"math"
	"strings"
)

const (
	grain = 20 // seconds of a point of a chart

	chartWidth, panelHeight = 720, 220
	marginLeft, marginTop   = 64, 44
	marginBottom            = 24
	plotWidth, plotHeight   = 620, 150
)

// point is a piece of a run's course.
type point struct {
	total, overload float64
	moved           float64 // share of all traffic
}

// panel is one of the chart's graphs: a line for each controller, at equal distances between two values of x.
type panel struct {
	title, unit string
	last, every int // of the x axis: where it ends, and the distance between two labels; it begins at 0
	lines       map[string][]float64
}

// chart draws what became of the traffic over time, and how far it was from where it would have been best off: the mean of the seeds.
func chart(o options, results []result) []byte {
	const minutes = duration / 60
	panels := []panel{
		{"traffic on overloaded POPs, %", "min", minutes, 10, courses(results, func(s *score) []float64 {
			return s.perPoint(func(p point) float64 { return 100 * p.overload / max(p.total, 1e-9) })
		})},
		{"traffic that new maps send elsewhere, % per minute", "min", minutes, 10, courses(results, func(s *score) []float64 {
			return s.perPoint(func(p point) float64 { return 100 * p.moved * 60 / grain })
		})},
		{"traffic whose POP is farther away than its nearest living one by more than ..., %", "ms", offMost, 20, courses(results, (*score).farther)},
	}
	height := marginTop + len(panels)*panelHeight + marginBottom
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", chartWidth, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", escape(o.command()))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">scenario %s, %d POPs</text>`+"\n", marginLeft, escape(o.scenario), o.pops)
	for k, name := range controllerNames() {
		x := 330 + 120*k
		fmt.Fprintf(&b, `<line x1="%d" y1="16" x2="%d" y2="16" %s stroke-width="2"/><text x="%d" y="20">%s</text>`+"\n", x, x+24, stroke(name), x+30, name)
	}
	for i, p := range panels {
		p.draw(&b, marginTop+i*panelHeight)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="10" fill="#666">mean of %d seeds: %s</text>`+"\n", marginLeft, height-8, o.seeds, escape(o.command()))
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// command is what draws the same chart again.
func (o options) command() string {
	c := "go run ./loadtest/sim/routing"
	if o.matrix != "" {
		c += " --matrix M.csv --sites S.csv"
	}
	return c + fmt.Sprintf(" --scenario %s --pops %d --nodes %d --seeds %d --chart FILE", o.scenario, o.pops, o.nodes, o.seeds)
}

// stroke is how a controller's line looks. One is dashed, to be seen on top of another.
func stroke(controller string) string {
	return map[string]string{"nearcast": `stroke="#0b6e4f"`, "geo": `stroke="#c46210"`, "binary": `stroke="#7a3e9d" stroke-dasharray="6 4"`}[controller]
}

func escape(s string) string { return strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(s) }

// perPoint returns what a function says of each point of the course.
func (s *score) perPoint(of func(p point) float64) []float64 {
	out := make([]float64, len(s.course))
	for i, p := range s.course {
		out[i] = of(p)
	}
	return out
}

// farther returns the percentage of the traffic whose regret is at least 0.5 ms, 1.5 ms and so on.
func (s *score) farther() []float64 {
	out := make([]float64, offMost)
	sum := 0.0
	for ms := offMost; ms > 0; ms-- {
		sum += s.off[ms]
		out[ms-1] = 100 * sum / max(s.placed, 1e-9)
	}
	return out
}

// courses returns the mean course of each controller.
func courses(results []result, of func(s *score) []float64) map[string][]float64 {
	out := make(map[string][]float64)
	seeds := make(map[string]float64)
	for i := range results {
		r := &results[i]
		line := of(&r.score)
		if out[r.Controller] == nil {
			out[r.Controller] = make([]float64, len(line))
		}
		seeds[r.Controller]++
		for i, v := range line {
			out[r.Controller][i] += v
		}
	}
	for name, list := range out {
		for i := range list {
			list[i] /= seeds[name]
		}
	}
	return out
}

// draw draws the panel below y.
func (p panel) draw(b *strings.Builder, y int) {
	top := 0.0
	for _, line := range p.lines {
		for _, v := range line {
			top = max(top, v)
		}
	}
	top = round(top)
	bottom := y + 20 + plotHeight
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", marginLeft, y+10, escape(p.title))
	for i := range 5 {
		v, at := top*float64(i)/4, bottom-plotHeight*i/4
		fmt.Fprintf(b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#ddd"/><text x="%d" y="%d" text-anchor="end">%.3g</text>`+"\n",
			marginLeft, at, marginLeft+plotWidth, at, marginLeft-6, at+4, v)
	}
	for x := 0; x <= p.last; x += p.every {
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%d %s</text>`+"\n", marginLeft+plotWidth*x/p.last, bottom+16, x, p.unit)
	}
	for _, name := range controllerNames() {
		line := p.lines[name]
		var path strings.Builder
		for i, v := range line {
			fmt.Fprintf(&path, "%.1f,%.1f ", float64(marginLeft)+plotWidth*(float64(i)+0.5)/float64(len(line)), float64(bottom)-plotHeight*v/top)
		}
		fmt.Fprintf(b, `<polyline fill="none" %s stroke-width="1.5" points="%s"/>`+"\n", stroke(name), strings.TrimSpace(path.String()))
	}
}

// round returns the next 1, 2 or 5 times a power of ten.
func round(x float64) float64 {
	if x <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, k := range []float64{1, 2, 5} {
		if x <= k*unit {
			return k * unit
		}
	}
	return 10 * unit
}
