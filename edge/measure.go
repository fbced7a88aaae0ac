package edge

import (
	"context"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"nearcast/cdn"
	"nearcast/edge/load"
	"nearcast/edge/shed"
	"nearcast/edge/visitors"
)

// measureEvery is how often the node measures itself.
const measureEvery = time.Second

// openMeter makes what measures the node and its visitors. fills is how many fetches may run.
func (s *Server) openMeter(fills int) {
	var dirs []string
	for _, d := range s.cfg.disks() {
		dirs = append(dirs, d.Path)
	}
	memory := MemoryTarget(s.cfg.RAM)
	s.meter = load.New(load.Config{
		Counts: s.counts, Machine: load.NewProcess(dirs...),
		Limits: func() load.Limits {
			lim := load.Limits{Cores: load.Cores(runtime.GOMAXPROCS(0)), Memory: memory, Connections: s.front.Capacity(), Fills: fills}
			if t := s.tables.Load(); t != nil {
				lim.Egress = t.egress
			}
			return lim
		},
	})
	s.load.Store(new(cdn.NodeLoad))
	s.placing = make(waker, 1)
	if s.cfg.Node != "" {
		s.visitors = visitors.New(visitors.Config{Now: s.cfg.Now})
	}
}

// Load returns how busy the node was when it was measured last, which Run does once a second.
func (s *Server) Load() cdn.NodeLoad { return *s.load.Load() }

// Visitors returns what the node has seen of its visitors since it was last asked, and forgets it. A node without a fleet has
// nothing to tell.
func (s *Server) Visitors() cdn.VisitorBatch {
	if s.visitors == nil {
		return cdn.VisitorBatch{At: s.now()}
	}
	return s.visitors.Take()
}

// counts are what the node has counted.
func (s *Server) counts() load.Counts {
	m := s.metrics
	c := load.Counts{
		Requests: m.answered.Load(), Hits: m.stored.Load(), Errors: m.failed.Load(), Octets: m.octets.Load(),
		Connections: s.front.Connections(), Fills: s.fills.Running(),
	}
	for _, hits := range m.hits {
		var value dto.Metric
		if hits.Write(&value) == nil {
			n := uint64(value.GetCounter().GetValue())
			c.Requests, c.Hits = c.Requests+n, c.Hits+n
		}
	}
	return c
}

// measuring measures once a second until ctx ends.
func (s *Server) measuring(ctx context.Context) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		s.measureNow()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// measureNow measures, and goes up or down the ladder.
func (s *Server) measureNow() {
	now := s.now()
	l := s.meter.Tick(now)
	if s.cfg.measure != nil {
		l = s.cfg.measure()
	}
	if s.cfg.Node != "" || s.cfg.ShedAlone {
		before := s.ladder.Step()
		step := s.ladder.Climb(now, l.Utilisation())
		l.Shedding = int(step)
		if step != before {
			s.log.Info("the node sheds load", "step", step.String(), "was", before.String(), "utilisation", l.Utilisation(),
				"cpu", l.CPU, "connections", l.Connections, "egress", l.Egress, "disk", l.Disk, "fills", l.Fills)
		}
		if step > shed.None {
			s.placing.poke()
		}
	}
	s.load.Store(&l)
}

// loadGauges are of what the node has measured.
func loadGauges(s *Server) []prometheus.Collector {
	var all []prometheus.Collector
	for _, r := range [...]struct {
		name  string
		value func(*cdn.NodeLoad) float64
	}{
		{"cpu", func(l *cdn.NodeLoad) float64 { return l.CPU }},
		{"memory", func(l *cdn.NodeLoad) float64 { return l.Memory }},
		{"connections", func(l *cdn.NodeLoad) float64 { return l.Connections }},
		{"egress", func(l *cdn.NodeLoad) float64 { return l.Egress }},
		{"disk", func(l *cdn.NodeLoad) float64 { return l.Disk }},
		{"fills", func(l *cdn.NodeLoad) float64 { return l.Fills }},
	} {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nearcast_edge_utilisation", Help: "Part of what the node has that it uses, by resource.", ConstLabels: prometheus.Labels{"resource": r.name},
		}, func() float64 { return r.value(s.load.Load()) }))
	}
	return append(all,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_shedding_step", Help: "Highest step in force of the ladder by which an overloaded node sheds load; 0 is none."},
			func() float64 { return float64(s.ladder.Step()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "nearcast_edge_load_readings_failed_total", Help: "Failures to read how busy the node is."},
			func() float64 { return float64(s.meter.Failed()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "nearcast_edge_visitor_readings_failed_total", Help: "Failures to ask the kernel about a connection."},
			func() float64 { return float64(s.visitors.Unread()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "nearcast_edge_visitor_networks_dropped_total", Help: "Visitors' networks that there was no room for in a report."},
			func() float64 { return float64(s.visitors.Dropped()) }))
}
