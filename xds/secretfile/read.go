package secretfile

import (
	"fmt"
	"io"
	"os"

	"github.com/attache-mesh/attache/proxy/config"
)

// Read reads a file that a secret is in. It is a config.Reader.
func Read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // a pipe would hold up whoever reads it
		return nil, fmt.Errorf("%s: not a regular file", name)
	case info.Size() > config.MaxSecretFile:
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", name, info.Size(), config.MaxSecretFile)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, config.MaxSecretFile+1))
	if err == nil && len(text) > config.MaxSecretFile { // it grew meanwhile
		err = fmt.Errorf("%s: more than %d bytes", name, config.MaxSecretFile)
	}
	return text, err
}
