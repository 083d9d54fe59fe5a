package real

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// FirstKey are the commands of docs/kubernetes.md that lead from nothing to the first
// key: to make the images, to give them to the nodes, to install the chart, to
// deploy what uses it, and to use it. Each is a line for Shell.
func FirstKey(t testing.TB) (lines [5]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "kubernetes.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## From nothing to the first key\n\n")
	section, _, _ = strings.Cut(section, "\n\n")
	all := strings.Split(section, "\n")
	if !found || len(all) != len(lines) {
		t.Fatalf("docs/kubernetes.md: want %d commands, from nothing to the first key, in\n%s", len(lines), section)
	}
	for i, line := range all {
		line, _, _ = strings.Cut(line, "    # ")
		lines[i] = strings.TrimSpace(line)
	}
	return lines
}

// Shell runs a line in the repository's root with more of an environment, and gives what it
// says. kubectl and helm are those of get.sh, and have nothing of the user's but what
// env says, such as KUBECONFIG.
func Shell(t testing.TB, line string, env ...string) string {
	t.Helper()
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(Binary(t, "kubectl"))+":"+os.Getenv("PATH"),
		"MAKEFLAGS=", "MFLAGS=", // what make was told that runs the tests is not for the one that a line runs
		"KUBECACHEDIR="+home, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// root is the repository's.
func root(t testing.TB) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("go list -m: %v", err)
	}
	return strings.TrimSpace(string(dir))
}
