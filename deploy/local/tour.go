package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"nearcast/cdn"
	"nearcast/deploy/plan"
)

// The demo sites, applied when a lab starts without any.
const (
	webDomain    = "www.web.example"
	bucketDomain = "www.bucket.example"
)

// demoSites returns a site in front of each origin.
func (l *Lab) demoSites() []cdn.Site {
	return []cdn.Site{
		{
			Name: "web", Domains: []cdn.Domain{webDomain},
			Origin: cdn.Origin{Type: cdn.OriginHTTP, URLs: []string{l.originURL(plan.PortWebOrigin)}},
		},
		{
			Name: "bucket", Domains: []cdn.Domain{bucketDomain},
			Origin: cdn.Origin{
				Type: cdn.OriginS3, URLs: []string{l.originURL(plan.PortS3Origin)},
				Bucket: &cdn.Bucket{Name: bucketName, AccessKeyID: l.secrets.S3.AccessKeyID, SecretAccessKey: l.secrets.S3.SecretAccessKey},
			},
			// A bucket says nothing about freshness, so the site does.
			Routes: []cdn.Route{{TTL: mustDuration("10m")}},
		},
	}
}

func mustDuration(s string) cdn.Duration {
	d, err := cdn.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

// printTour prints what to try.
func (l *Lab) printTour() {
	port := l.plan.Fleet.Port()
	host, dnsPort, _ := strings.Cut(l.plan.DNS, ":")
	_, tlsPort, _ := strings.Cut(l.plan.Secure, ":")
	fmt.Fprintf(l.cfg.Out, `
The CDN is up: zone %s, %d nodes, everything in %s.
Try, in another terminal:

  # which edge nodes serve the demo site? The same over HTTPS
  dig +short @%s -p %s %s.%s
  dig +short @%s -p %s +https %s %s.%s
  # fetch a file through one of them, twice: MISS, then HIT
  curl -si --connect-to %s:80:%s:%d http://%s/LICENSE | head -20
  # the same from the S3 origin, and by way of the 302 front
  curl -si --connect-to %s:80:%s:%d http://%s/%s
  curl -si -H 'Host: %s' %s/LICENSE
  # add a site of your own, look at the nodes, throw a file out of every cache
  %s domain add www.shop.example --origin %s --dir %s
  %s nodes --dir %s
  # which POP is best for a visitor, and why; then kill a node and watch the map
  %s explain route %s --client 198.51.100.7 --dir %s
  %s map --watch --dir %s
  %s purge url http://%s/LICENSE --dir %s

Ctrl-C stops everything.
`, l.plan.Fleet.Zone, len(l.endpoints.Nodes), l.cfg.Dir,
		host, dnsPort, webDomain, l.plan.Fleet.Zone,
		host, tlsPort, l.tlsOptions(), webDomain, l.plan.Fleet.Zone,
		webDomain, l.firstEdge(), port, webDomain,
		bucketDomain, l.firstEdge(), port, bucketDomain, sampleObject,
		webDomain, l.endpoints.Redirect,
		l.cfg.Program, l.originURL(plan.PortWebOrigin), l.cfg.Dir,
		l.cfg.Program, l.cfg.Dir,
		l.cfg.Program, webDomain, l.cfg.Dir,
		l.cfg.Program, l.cfg.Dir,
		l.cfg.Program, webDomain, l.cfg.Dir)
}

// tlsOptions are dig's, to check the scheduler's certificate with.
func (l *Lab) tlsOptions() string {
	s := l.secureAccess()
	if s.CAFile == "" {
		return "+tls-ca +tls-hostname=" + string(s.Name)
	}
	return "+tls-ca=" + s.CAFile
}

// firstEdge returns the address of an edge node.
func (l *Lab) firstEdge() string {
	for _, n := range l.plan.Fleet.Nodes {
		if n.Has(cdn.RoleEdge) && l.plan.Fleet.POP(n.POP).Tier == cdn.TierEdge {
			return n.Addresses[0].String()
		}
	}
	return "127.0.0.1"
}

// SampleContent makes a small web site in dir for the web origin, for a machine
// that has no Go distribution to serve.
func SampleContent(dir string) (string, error) {
	root, err := filepath.Abs(filepath.Join(dir, "www"))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("making the sample content: %w", err)
	}
	for name, text := range map[string]string{
		"index.html": "<!doctype html><title>Nearcast</title><p>Hello from the web origin.\n",
		"LICENSE":    "This sample file has no licence terms; it is here to be fetched.\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return "", fmt.Errorf("making the sample content: %w", err)
		}
	}
	return root, nil
}
