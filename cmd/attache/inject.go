package main

// attache inject: what the webhook of the chart does to pods, to a file.

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/pmezard/go-difflib/difflib"

	"github.com/attache-mesh/attache/charts/inject"
)

// injectFlags is the command line of attache inject.
type injectFlags struct {
	file, settings, namespace, output string
	image, controlPlane               string
	native                            bool
}

// injectFile prints what a sidecar changes in a file: the diff, or the file as it
// is to be applied.
func injectFile(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	f := injectFlags{}
	set := flag.NewFlagSet("attache inject", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.file, "f", "", "`file` with pods or workloads, YAML or JSON; - reads standard input")
	set.StringVar(&f.settings, "settings", "", "`file` of the injector's settings: the key inject.yaml of the chart's ConfigMap")
	set.StringVar(&f.namespace, "n", "default", "`namespace` of what names none")
	set.StringVar(&f.output, "o", "diff", "`format`: diff, or yaml to apply it")
	set.StringVar(&f.image, "image", "", "the sidecar's `image`, over the settings")
	set.StringVar(&f.controlPlane, "control-plane", "", "`address` of attache-control, HOST:PORT, over the settings")
	set.BoolVar(&f.native, "native", true, "a native sidecar (Kubernetes 1.29 and later), if there is no settings file")
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, "attache inject -f FILE    print what a sidecar changes in the pods of a file\n\nFlags:\n")
		listFlags(stderr, set)
		return exitOK
	case err == nil:
		err = f.check(set.Args())
	}
	if err != nil {
		fmt.Fprintf(stderr, "attache inject: %v\nRun 'attache inject --help' for the flags.\n", err)
		return exitUsage
	}
	if err := f.run(stdin, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "attache inject: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func (f *injectFlags) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case f.file == "":
		return errors.New("no file: give -f FILE")
	case f.output != "diff" && f.output != "yaml":
		return fmt.Errorf("-o %q: want diff or yaml", f.output)
	case f.settings == "" && (f.image == "" || f.controlPlane == ""):
		return errors.New("no settings: give --settings FILE, or --image and --control-plane")
	}
	return nil
}

func (f *injectFlags) run(stdin io.Reader, stdout, stderr io.Writer) error {
	s, err := f.readSettings()
	if err != nil {
		return err
	}
	text, err := f.read(stdin)
	if err != nil {
		return err
	}
	before, after, done, err := inject.Manifest(text, f.namespace, s)
	if err != nil {
		return fmt.Errorf("%s: %w", f.file, err)
	}
	for _, w := range done {
		for _, warning := range w.Warnings {
			fmt.Fprintf(stderr, "%s %s: %s\n", w.Kind, w.Name, warning)
		}
		if w.Why != "" {
			fmt.Fprintf(stderr, "%s %s: stays as it is: %s\n", w.Kind, w.Name, w.Why)
		}
	}
	if len(done) == 0 {
		fmt.Fprintf(stderr, "%s: there is no pod in it\n", f.file)
	}
	if f.output == "yaml" {
		_, err = stdout.Write(after)
		return err
	}
	return difflib.WriteUnifiedDiff(stdout, difflib.UnifiedDiff{
		A: lines(before), B: lines(after), FromFile: f.file, ToFile: f.file + " with attache", Context: 3,
	})
}

func (f *injectFlags) readSettings() (*inject.Settings, error) {
	var text []byte
	if f.settings != "" {
		var err error
		if text, err = readBounded(f.settings); err != nil {
			return nil, err
		}
	}
	native := f.settings == "" && f.native
	s, err := inject.ReadSettings(text, func(s *inject.Settings) {
		if f.image != "" {
			s.Image = f.image
		}
		if f.controlPlane != "" {
			s.ControlPlane = f.controlPlane
		}
		s.Native = s.Native || native
	})
	if err != nil && f.settings != "" {
		return nil, fmt.Errorf("%s: %w", f.settings, err)
	}
	return s, err
}

func (f *injectFlags) read(stdin io.Reader) ([]byte, error) {
	if f.file != "-" {
		return readBounded(f.file)
	}
	return io.ReadAll(io.LimitReader(stdin, inject.MaxManifest+1)) // one more: it is then refused as too long
}

// lines keep their ends.
func lines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.SplitAfter(string(bytes.TrimSuffix(text, []byte("\n"))), "\n")
}
