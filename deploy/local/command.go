package local

import (
	"fmt"
	"os"
	"path/filepath"

	"nearcast/cdn"
	"nearcast/deploy/plan"
)

// command is a process as the driver starts it.
type command struct {
	name     string
	path     string
	args     []string
	env      []string // beside the driver's own
	readyURL string   // answers 200 once the process is ready; for the S3 server, anything
	anyReply bool     // any HTTP answer from readyURL counts
	logFile  string
	listens  []plan.Listen
	// node is set for a cache node.
	node cdn.NodeName
	role string
	// admin is the admin address, empty for the S3 server.
	admin string
}

// Names of the two origins, as processes and in endpoints.json.
const (
	webOrigin = "web-origin"
	s3Origin  = "s3-origin"
)

// queryLogEvery is how many queries there are for one in a scheduler's log.
const queryLogEvery = "10"

// allCommands returns the origins and the plan's processes.
func (l *Lab) allCommands() []command {
	commands := []command{l.s3Command(), l.webCommand()}
	for _, p := range l.plan.Processes {
		c := command{
			name: p.Name, path: l.cfg.Program, args: p.Args, role: string(p.Role), admin: p.Admin,
			readyURL: "http://" + p.Admin + "/readyz", logFile: l.logFile(p.Name), listens: p.Listens,
		}
		if p.Role == cdn.RoleScheduler {
			c.args = append(c.args, "--query-log", filepath.Join(l.cfg.Dir, "log", p.Name+".queries.ndjson"), "--query-log-every", queryLogEvery)
		}
		if p.Role == cdn.RoleEdge {
			c.node = p.Node
			c.args = append(c.args, "--access-log", filepath.Join(l.cfg.Dir, "log", p.Name+".access.ndjson"))
		}
		commands = append(commands, c)
	}
	return commands
}

func (l *Lab) webCommand() command {
	addr := "127.0.0.1:" + l.layout.Port(plan.PortWebOrigin)
	return command{
		name: webOrigin, role: webOrigin, path: l.cfg.Program,
		args: []string{
			"web-origin", "--listen", addr, "--root", l.cfg.Content,
			"--access-log", filepath.Join(l.cfg.Dir, "log", webOrigin+".access.ndjson"),
		},
		readyURL: "http://" + addr + "/", anyReply: true, logFile: l.logFile(webOrigin),
		listens: []plan.Listen{{Network: "tcp", Addr: addr, For: "HTTP of " + webOrigin}},
	}
}

func (l *Lab) s3Command() command {
	addr := "127.0.0.1:" + l.layout.Port(plan.PortS3Origin)
	return command{
		name: s3Origin, role: s3Origin, path: l.cfg.S3Server,
		args: []string{
			"--port", addr, "--quiet", "--access-log", filepath.Join(l.cfg.Dir, "log", s3Origin+".access.log"),
			"posix", l.s3Root(),
		},
		env: []string{
			"ROOT_ACCESS_KEY=" + l.secrets.S3.AccessKeyID,
			"ROOT_SECRET_KEY=" + l.secrets.S3.SecretAccessKey,
		},
		readyURL: "http://" + addr + "/", anyReply: true, logFile: l.logFile(s3Origin),
		listens: []plan.Listen{{Network: "tcp", Addr: addr, For: "S3 of " + s3Origin}},
	}
}

func (l *Lab) s3Root() string              { return l.layout.State(s3Origin) }
func (l *Lab) logFile(name string) string  { return filepath.Join(l.cfg.Dir, "log", name+".log") }
func (l *Lab) originURL(offset int) string { return "http://127.0.0.1:" + l.layout.Port(offset) }

// makeStateDirs makes the directories that the commands expect to find.
func (l *Lab) makeStateDirs() error {
	for _, p := range l.plan.Processes {
		if err := os.MkdirAll(l.layout.State(p.Name), 0o700); err != nil {
			return fmt.Errorf("making a state directory: %w", err)
		}
	}
	return os.MkdirAll(l.s3Root(), 0o700)
}
