package main

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"nearcast/loadtest/rig"
)

// peer is another cache: how to install, run and configure it.
type peer struct {
	name, program, debian string
	askVersion            []string
	tls                   bool // it speaks TLS and HTTP/2
	twoFiles              bool // it reckons with two files for each connection
	configure             func(place) (rig.Command, error)
}

// place is where a peer lives and listens.
type place struct {
	site
	dir        string
	plain, tls string // host:port
}

func (p place) file(name string) string { return filepath.Join(p.dir, name) }

func peers() []peer {
	return []peer{
		{"nginx", "nginx", "nginx", []string{"-v"}, true, false, configureNginx},
		{"haproxy", "haproxy", "haproxy", []string{"-v"}, true, true, configureHAProxy},
		{"varnish", "varnishd", "varnish", []string{"-V"}, false, false, configureVarnish},
		{"ats", "traffic_server", "trafficserver", []string{"-V"}, true, false, configureATS},
	}
}

// version finds the number in what the peer says of itself.
func (peer) version(line string) string {
	if v := regexp.MustCompile(`\d+\.\d+(\.\d+)?`).FindString(line); v != "" {
		return v
	}
	return line
}

// expand fills a configuration in. Its words are of the form @name@, which none of the languages uses.
func (p place) expand(text string) string {
	return strings.NewReplacer("@dir@", p.dir, "@origin@", p.origin,
		"@files@", strconv.Itoa(p.files), "@maxconn@", strconv.Itoa(p.files/2-100),
		"@plain@", p.plain, "@tls@", p.tls,
		"@cert@", p.cert.Cert, "@key@", p.cert.Key, "@both@", p.cert.Both, "@plainport@", port(p.plain), "@tlsport@", port(p.tls),
		"@originhost@", p.origin[:strings.LastIndexByte(p.origin, ':')], "@originport@", port(p.origin)).Replace(text)
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func (p place) write(name, text string) error {
	return os.WriteFile(p.file(name), []byte(p.expand(text)), 0o644)
}

const nginxConf = `daemon off; worker_processes 1; worker_rlimit_nofile @files@; pid @dir@/pid; error_log @dir@/error.log;
events { worker_connections @files@; multi_accept on; use epoll; }
http {
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; default_type application/octet-stream;
  keepalive_requests 1000000000; keepalive_timeout 600s; http2_max_concurrent_streams 256;
  open_file_cache max=20000 inactive=600s; open_file_cache_valid 600s;
  client_body_temp_path @dir@/t1; proxy_temp_path @dir@/t2; fastcgi_temp_path @dir@/t3; uwsgi_temp_path @dir@/t4; scgi_temp_path @dir@/t5;
  proxy_cache_path @dir@/cache levels=1:2 keys_zone=c:64m max_size=4g inactive=1d use_temp_path=off;
  ssl_certificate @cert@; ssl_certificate_key @key@; ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:S:64m; ssl_session_tickets on; ssl_session_timeout 1d;
  upstream o { server @origin@; keepalive 64; }
  server {
    listen @plain@ backlog=4096; listen @tls@ ssl http2 backlog=4096;
    location / { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://o; proxy_cache c; proxy_cache_lock on; }
  }
}
`

func configureNginx(p place) (rig.Command, error) {
	return rig.Command{Args: []string{"-c", p.file("nginx.conf"), "-e", p.file("error.log")}}, p.write("nginx.conf", nginxConf)
}

const haproxyConf = `global
  nbthread 1
  maxconn @maxconn@
  tune.bufsize 32768
  tune.ssl.cachesize 100000
  ssl-default-bind-options ssl-min-ver TLSv1.2
cache c
  total-max-size 512
  max-object-size 12000000
  max-age 86400
defaults
  mode http
  timeout client 600s
  timeout http-keep-alive 600s
  timeout server 60s
  timeout connect 5s
frontend f
  bind @plain@ backlog 4096
  bind @tls@ backlog 4096 ssl crt @both@ alpn h2,http/1.1
  http-request cache-use c
  http-response cache-store c
  default_backend b
backend b
  http-request cache-use c
  http-response cache-store c
  server s @origin@
`

func configureHAProxy(p place) (rig.Command, error) {
	return rig.Command{Args: []string{"-db", "-f", p.file("haproxy.cfg")}}, p.write("haproxy.cfg", haproxyConf)
}

const varnishVCL = `vcl 4.1;
backend default { .host = "@originhost@"; .port = "@originport@"; }
`

func configureVarnish(p place) (rig.Command, error) {
	return rig.Command{Args: []string{
		"-F", "-f", p.file("default.vcl"), "-a", p.plain, "-s", "malloc,1g", "-n", p.file("run"), "-P", p.file("pid"),
		"-p", "thread_pools=1", "-p", "thread_pool_min=100", "-p", "timeout_idle=600",
	}}, p.write("default.vcl", varnishVCL)
}

// atsEtc is where Debian keeps what a configuration of ATS needs besides our records.
const atsEtc = "/etc/trafficserver"

// atsRecords are those that differ from the distribution's.
func atsRecords() map[string]string {
	return map[string]string{
		"exec_thread.autoconfig":                  "INT 0",
		"exec_thread.limit":                       "INT 1",
		"exec_thread.affinity":                    "INT 0",
		"http.server_ports":                       "STRING @plainport@:ip-in=127.0.0.1 @tlsport@:ssl:ip-in=127.0.0.1",
		"cache.ram_cache.size":                    "INT 1G",
		"log.logging_enabled":                     "INT 0",
		"log.logfile_dir":                         "STRING @dir@/run",
		"ssl.server.cert.path":                    "STRING @dir@/etc",
		"ssl.server.private_key.path":             "STRING @dir@/etc",
		"http.keep_alive_no_activity_timeout_in":  "INT 600",
		"http.transaction_no_activity_timeout_in": "INT 600",
		"net.default_inactivity_timeout":          "INT 600",
		"http2.no_activity_timeout_in":            "INT 600",
		"net.connections_throttle":                "INT 60000",
		"http2.max_concurrent_streams_in":         "INT 256",
	}
}

// configureATS copies the distribution's configuration and changes some of it.
func configureATS(p place) (rig.Command, error) {
	etc, run := p.file("etc"), p.file("run")
	if err := os.CopyFS(etc, os.DirFS(atsEtc)); err != nil {
		return rig.Command{}, err
	}
	both, err := os.ReadFile(p.cert.Both)
	if err != nil {
		return rig.Command{}, err
	}
	records, err := os.ReadFile(filepath.Join(etc, "records.config"))
	if err != nil {
		return rig.Command{}, err
	}
	for name, text := range map[string]string{
		"etc/records.config": setRecords(string(records), atsRecords()), "etc/remap.config": "map / http://@origin@/\n",
		"etc/storage.config": "@dir@/cache 512M\n", "etc/ssl_multicert.config": "dest_ip=* ssl_cert_name=both.pem\n", "etc/both.pem": string(both),
	} {
		if err := p.write(name, text); err != nil {
			return rig.Command{}, err
		}
	}
	for _, dir := range []string{run, p.file("cache")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return rig.Command{}, err
		}
	}
	env := []string{"PROXY_CONFIG_CONFIG_DIR=" + etc, "PROXY_CONFIG_LOCAL_STATE_DIR=" + run}
	return rig.Command{Env: env}, give(p.dir, "trafficserver")
}

// setRecords changes or adds records of ATS.
func setRecords(text string, records map[string]string) string {
	for name, value := range records {
		line := "CONFIG proxy.config." + name + " " + value
		re := regexp.MustCompile(`(?m)^CONFIG proxy\.config\.` + regexp.QuoteMeta(name) + ` .*$`)
		if re.MatchString(text) {
			text = re.ReplaceAllLiteralString(text, line)
		} else {
			text += line + "\n"
		}
	}
	return text
}

// give makes a user the owner of a folder, for a server that gives up being root.
func give(dir, name string) error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, -1)
	})
}
