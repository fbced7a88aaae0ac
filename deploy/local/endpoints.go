package local

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"nearcast/cdn"
	"nearcast/deploy/plan"
)

// Endpoints says where everything of a running lab listens: the content of
// endpoints.json.
type Endpoints struct {
	Zone cdn.Domain `json:"zone"`
	API  APIAccess  `json:"api"`
	// DNS is the scheduler's address, host:port, UDP and TCP.
	DNS string `json:"dns"`
	// Redirect is the URL of the 302 front.
	Redirect string `json:"redirect"`
	// Secure is where the scheduler answers the same over TLS.
	Secure  SecureAccess     `json:"secure"`
	Nodes   []NodeEndpoint   `json:"nodes"`
	Origins []OriginEndpoint `json:"origins"`
	// Processes are all processes of the lab, the nodes among them.
	Processes []ProcessEndpoint `json:"processes"`
}

// APIAccess is how operators reach the control plane.
type APIAccess struct {
	URL       string `json:"url"`
	TokenFile string `json:"token_file"`
}

// SecureAccess is a scheduler's TLS port: DNS over TLS, and over HTTPS; HTTPDNS and redirects too.
type SecureAccess struct {
	DoT string `json:"dot"` // host:port
	DoH string `json:"doh"` // URL
	// Name is one that the certificate is for, beside the address.
	Name cdn.Domain `json:"name,omitempty"`
	// CAFile has the certificate of who vouches for it, in PEM. It is empty for a certificate that is not of the lab's making: then the name counts.
	CAFile string `json:"ca_file,omitempty"`
}

// NodeEndpoint is a cache node.
type NodeEndpoint struct {
	Name   cdn.NodeName   `json:"name"`
	POP    cdn.POPName    `json:"pop"`
	Region cdn.RegionName `json:"region"`
	Tier   cdn.Tier       `json:"tier"`
	HTTP   string         `json:"http"`  // host:port
	Admin  string         `json:"admin"` // host:port
	PID    int            `json:"pid"`
}

// OriginEndpoint is an origin of the lab.
type OriginEndpoint struct {
	Name string `json:"name"`
	Type string `json:"type"` // "http" or "s3"
	URL  string `json:"url"`
	// AccessLog has a line for each request that reached the origin.
	AccessLog string `json:"access_log"`
	// Bucket and CredentialsFile are for the S3 origin.
	Bucket          string `json:"bucket,omitempty"`
	CredentialsFile string `json:"credentials_file,omitempty"`
}

// ProcessEndpoint is any process of the lab.
type ProcessEndpoint struct {
	Name  string `json:"name"`
	Role  string `json:"role"`
	Admin string `json:"admin,omitempty"`
	PID   int    `json:"pid"`
	Log   string `json:"log"`
}

const endpointsName = "endpoints.json"

// ReadEndpoints reads the endpoints file of the lab in dir.
func ReadEndpoints(dir string) (*Endpoints, error) {
	text, err := os.ReadFile(filepath.Join(dir, endpointsName))
	if err != nil {
		return nil, fmt.Errorf("no CDN runs in %s: %w", dir, err)
	}
	var e Endpoints
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, endpointsName), err)
	}
	return &e, nil
}

func (l *Lab) endpointsFile() string { return filepath.Join(l.cfg.Dir, endpointsName) }

// writeEndpoints writes where everything is now.
func (l *Lab) writeEndpoints() error {
	l.endpoints = Endpoints{
		Zone:     l.plan.Fleet.Zone,
		API:      APIAccess{URL: "http://" + l.plan.API, TokenFile: l.layout.TokenFile()},
		DNS:      l.plan.DNS,
		Redirect: "http://" + l.plan.Redirect,
		Secure:   l.secureAccess(),
		Origins: []OriginEndpoint{
			{
				Name: "web", Type: string(cdn.OriginHTTP), URL: l.originURL(plan.PortWebOrigin),
				AccessLog: filepath.Join(l.cfg.Dir, "log", webOrigin+".access.ndjson"),
			},
			{
				Name: "s3", Type: string(cdn.OriginS3), URL: l.originURL(plan.PortS3Origin), Bucket: bucketName,
				CredentialsFile: l.credentialsFile(),
				AccessLog:       filepath.Join(l.cfg.Dir, "log", s3Origin+".access.log"),
			},
		},
	}
	for _, c := range l.commands {
		pid := l.children.pid(c.name)
		l.endpoints.Processes = append(l.endpoints.Processes, ProcessEndpoint{Name: c.name, Role: c.role, Admin: c.admin, PID: pid, Log: c.logFile})
		if c.node == "" {
			continue
		}
		node := l.plan.Fleet.Node(c.node)
		pop := l.plan.Fleet.POP(node.POP)
		l.endpoints.Nodes = append(l.endpoints.Nodes, NodeEndpoint{
			Name: c.node, POP: pop.Name, Region: pop.Region, Tier: pop.Tier,
			HTTP: fmt.Sprintf("%s:%d", node.Addresses[0], l.plan.Fleet.Port()), Admin: c.admin, PID: pid,
		})
	}
	return writeJSON(l.endpointsFile(), l.endpoints)
}
