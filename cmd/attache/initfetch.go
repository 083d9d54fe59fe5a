package main

// attache init fetch: a file, or this program itself, goes into a volume that the pod's
// containers share. Who reads there sees all of it or nothing.

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func initFetch(args []string, stdout, stderr io.Writer) int {
	set := flag.NewFlagSet("attache init fetch", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	program := set.Bool("program", false, "copy this program, instead of a file")
	err := set.Parse(args)
	from, want := set.Arg(0), 2
	if *program {
		from, want = "", 1
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, initUsage)
		return exitOK
	case err == nil && set.NArg() != want:
		err = errors.New("want FROM and TO, or --program and TO")
	}
	if err != nil {
		fmt.Fprintf(stderr, "attache init fetch: %v\n%s", err, initUsage)
		return exitUsage
	}
	to, n, err := fetchFile(from, set.Arg(want-1))
	if err != nil {
		fmt.Fprintf(stderr, "attache init fetch: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s: %d bytes\n", to, n)
	return exitOK
}

// fetchFile copies from, "" for this program, to a file, or into a directory under its own
// name. It keeps the permissions.
func fetchFile(from, to string) (path string, n int64, err error) {
	if from == "" {
		if from, err = os.Executable(); err != nil {
			return "", 0, err
		}
	}
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		to = filepath.Join(to, filepath.Base(from))
	}
	in, err := os.Open(from)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s is not a file", from)
	}
	n, err = replaceFile(to, in, info.Mode().Perm())
	return to, n, err
}

// replaceFile puts a file in its place when all of it is on the disk.
func replaceFile(path string, in io.Reader, mode os.FileMode) (n int64, err error) {
	out, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			out.Close() // if it is not closed yet
			_ = os.Remove(out.Name())
		}
	}()
	if n, err = io.Copy(out, in); err != nil {
		return n, err
	}
	if err = out.Chmod(mode); err != nil {
		return n, err
	}
	if err = out.Sync(); err != nil {
		return n, err
	}
	if err = out.Close(); err != nil {
		return n, err
	}
	return n, os.Rename(out.Name(), path)
}
