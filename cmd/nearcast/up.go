package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/deploy"
	"nearcast/deploy/local"
)

// s3Module is the S3 server of the lab, pinned; the Makefile builds the same.
const s3Module = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// labDir is where a lab lives if nobody says otherwise.
const labDir = "nearcast-lab"

type upFlags struct {
	dir       string
	fleet     string
	portBase  int
	content   string
	s3Content string
	s3Server  string
}

func newUp() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a whole CDN on this machine",
		Long: `Run a whole CDN on this machine, each role as a process of its own on the loopback
interface: control, route quality, scheduler, regional and edge nodes, and a web
and an S3 origin to fetch from. Ctrl-C stops all of it.

DIR/endpoints.json says where everything listens once everything is ready.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runUp(cmd, &f) },
	}
	cmd.PersistentFlags().StringVar(&f.dir, "dir", envOr("NEARCAST_DIR", labDir), "`DIR` of the lab: state, logs, secrets")
	flags := cmd.Flags()
	flags.StringVar(&f.fleet, "fleet", "", "fleet `FILE` to run instead of the built-in one")
	flags.IntVar(&f.portBase, "port-base", 18000, "first of the 92 ports in use")
	flags.StringVar(&f.content, "content", "", "`DIR` that the web origin serves; default is the Go distribution if there is one")
	flags.StringVar(&f.s3Content, "s3-content", "", "`DIR` whose files are loaded into the S3 origin")
	flags.StringVar(&f.s3Server, "s3-server", "", "versitygw `PROGRAM`; default is the one beside this program, in $PATH, or built once with go install")
	cmd.AddCommand(newUpVerb("start", "Start a process of the running lab that has ended", &f, local.Start),
		newUpVerb("stop", "Stop a process of the running lab", &f, local.Stop))
	return cmd
}

func newUpVerb(verb, short string, f *upFlags, do func(context.Context, string, string) error) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " PROCESS",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return do(cmd.Context(), f.dir, args[0])
		},
	}
}

func runUp(cmd *cobra.Command, f *upFlags) error {
	ctx, stderr := cmd.Context(), cmd.ErrOrStderr()
	fleet, err := upFleet(f.fleet)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	cfg := local.Config{
		Dir: f.dir, Fleet: *fleet, PortBase: f.portBase, Program: program, Version: Version,
		Log: slog.New(slog.NewTextHandler(stderr, nil)), Out: cmd.OutOrStdout(),
	}
	if cfg.Content, err = contentDir(ctx, f); err != nil {
		return err
	}
	if f.s3Content != "" {
		if cfg.S3Content, err = filepath.Abs(f.s3Content); err != nil {
			return err
		}
	}
	if cfg.S3Server, err = findS3Server(ctx, f.s3Server, program, stderr); err != nil {
		return err
	}
	return local.Run(ctx, cfg)
}

func upFleet(file string) (*cdn.Fleet, error) {
	if file == "" {
		return compile.Fleet("built-in fleet", deploy.LabFleet)
	}
	return readFleet(file)
}

// contentDir returns what the web origin serves: real files rather than invented ones.
func contentDir(ctx context.Context, f *upFlags) (string, error) {
	dir := f.content
	if dir == "" {
		if out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output(); err == nil {
			dir = strings.TrimSpace(string(out))
		}
	}
	if dir == "" {
		return local.SampleContent(f.dir)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", cdn.Errorf(cdn.Invalid, "", "--content %s: not a directory that can be read", dir)
	}
	return dir, nil
}

// findS3Server returns the S3 server's program, building it once if it has to.
func findS3Server(ctx context.Context, asked, program string, stderr io.Writer) (string, error) {
	if asked != "" {
		return filepath.Abs(asked)
	}
	if beside := filepath.Join(filepath.Dir(program), "versitygw"); isProgram(beside) {
		return beside, nil
	}
	if found, err := exec.LookPath("versitygw"); err == nil {
		return filepath.Abs(found)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for the S3 server: %w", err)
	}
	dir := filepath.Join(cache, "nearcast", "tools")
	built := filepath.Join(dir, "versitygw")
	if isProgram(built) {
		return built, nil
	}
	fmt.Fprintf(stderr, "building the lab's S3 server once (go install %s), about a minute and a half\n", s3Module)
	install := exec.CommandContext(ctx, "go", "install", s3Module)
	install.Dir = os.TempDir() // outside any module: the version is the one asked for
	install.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		return "", cdn.Errorf(cdn.Unavailable, "", "the lab's S3 server could not be built: %w\n%s\ngive one with --s3-server", err, out)
	}
	return built, nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
