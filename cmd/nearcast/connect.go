package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/apiclient"
	"nearcast/deploy/local"
)

// operatorFlags are the flags of every operator command: which CDN, and how to
// print. Flags win over the environment, which wins over the profile file.
type operatorFlags struct {
	dir       string
	api       string
	tokenFile string
	profile   string
	output    string
}

func (f *operatorFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "dir", "", "the lab in `DIR` (environment NEARCAST_DIR)")
	flags.StringVar(&f.api, "api", "", "`URL` of the control plane's API (environment NEARCAST_API)")
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` with the API's bearer token (environment NEARCAST_TOKEN_FILE)")
	flags.StringVar(&f.profile, "profile", "", "profile `FILE` with api and token_file (environment NEARCAST_PROFILE; default nearcast/profile.yaml in the user's configuration directory)")
	flags.StringVarP(&f.output, "output", "o", "table", "`FORMAT` of the output: table, json or yaml")
}

// profile is the content of a profile file.
type profile struct {
	API       string `yaml:"api"`
	TokenFile string `yaml:"token_file"`
}

// connect returns the client of the CDN that flags, environment or profile name.
func (f *operatorFlags) connect() (*apiclient.Client, error) {
	if err := checkOutput(f.output); err != nil {
		return nil, err
	}
	p, err := f.find()
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(p.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("reading the API's token: %w", err)
	}
	return apiclient.New(p.API, strings.TrimSpace(string(token))), nil
}

// find looks where the CDN is. A more explicit source wins, and within one source
// an API wins over a lab.
func (f *operatorFlags) find() (profile, error) {
	switch {
	case f.api != "":
		return complete(profile{API: f.api, TokenFile: f.tokenFile}, "--api", "--token-file")
	case f.dir != "":
		return ofLab(f.dir, f.tokenFile)
	case os.Getenv("NEARCAST_API") != "":
		p := profile{API: os.Getenv("NEARCAST_API"), TokenFile: os.Getenv("NEARCAST_TOKEN_FILE")}
		return complete(p.with(f.tokenFile), "NEARCAST_API", "NEARCAST_TOKEN_FILE")
	case os.Getenv("NEARCAST_DIR") != "":
		return ofLab(os.Getenv("NEARCAST_DIR"), f.tokenFile)
	}
	p, err := f.readProfile()
	if err == nil {
		return p.with(f.tokenFile), nil
	}
	if !errors.Is(err, fs.ErrNotExist) || f.profile != "" || os.Getenv("NEARCAST_PROFILE") != "" {
		return p, err
	}
	if _, statErr := os.Stat(labDir); statErr == nil {
		return ofLab(labDir, f.tokenFile)
	}
	return p, cdn.Errorf(cdn.Invalid, "", `which CDN? Give --dir DIR for a lab, or --api URL and --token-file FILE,
or set NEARCAST_DIR, or write these two lines into a profile file:
  api: https://control.example:8443
  token_file: /etc/nearcast/api-token`)
}

func (p profile) with(tokenFile string) profile {
	if tokenFile != "" {
		p.TokenFile = tokenFile
	}
	return p
}

func complete(p profile, apiFrom, tokenFrom string) (profile, error) {
	if p.TokenFile == "" {
		return p, cdn.Errorf(cdn.Invalid, "", "%s names an API but %s no token", apiFrom, tokenFrom)
	}
	return p, nil
}

func ofLab(dir, tokenFile string) (profile, error) {
	e, err := local.ReadEndpoints(dir)
	if err != nil {
		return profile{}, err
	}
	return profile{API: e.API.URL, TokenFile: e.API.TokenFile}.with(tokenFile), nil
}

func (f *operatorFlags) readProfile() (profile, error) {
	name := f.profile
	if name == "" {
		name = os.Getenv("NEARCAST_PROFILE")
	}
	if name == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return profile{}, fs.ErrNotExist
		}
		name = filepath.Join(dir, "nearcast", "profile.yaml")
	}
	var p profile
	text, err := os.ReadFile(name)
	if err != nil {
		return p, fmt.Errorf("reading the profile: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(text, &p, yaml.Strict()); err != nil {
		return p, cdn.Errorf(cdn.Invalid, "", "reading the profile %s: %w", name, err)
	}
	if p.API == "" || p.TokenFile == "" {
		return p, cdn.Errorf(cdn.Invalid, "", "profile %s: api and token_file are both needed", name)
	}
	return p, nil
}
