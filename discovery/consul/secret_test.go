package consul

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attache-mesh/attache/discovery"
)

const canary = "c4nary-8f0e-token"

// TestTokenIsNotSeen has a server that repeats the token wherever it can, and
// looks for it in all that comes out.
func TestTokenIsNotSeen(t *testing.T) {
	t.Setenv("CONSUL_HTTP_TOKEN", canary)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var out bytes.Buffer
		asked := 0
		s := testSource(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Consul-Token") != canary {
				t.Errorf("asked with token %q", r.Header.Get("X-Consul-Token"))
			}
			w.Header().Set("X-Consul-Index", "7")
			switch asked++; asked {
			case 1:
				http.Error(w, "no token "+canary+" here\nand there "+canary, http.StatusForbidden)
			case 2:
				http.Redirect(w, r, "http://elsewhere/"+canary, http.StatusFound)
			case 3:
				fmt.Fprintf(w, `[{"Node":{"Node":%q},"Service":{"ID":"a"}}]`, "n")
			default:
				fmt.Fprint(w, canary)
			}
		})
		s.conf.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		s.Watch(ctx, discovery.Service{Source: "consul", Name: "web"}, func(r discovery.Report) {
			fmt.Fprintf(&out, "%v %+v %#v\n", r, r.Err, r.Err)
			for err := r.Err; err != nil; err = errors.Unwrap(err) {
				fmt.Fprintf(&out, "%v %#v\n", err, err)
			}
			s.conf.Log.Error("report", "error", r.Err, "source", fmt.Sprintf("%+v", s.conf))
		})
		fmt.Fprintf(&out, "%v %+v %#v", s, s, s)
		if strings.Contains(out.String(), canary) {
			t.Errorf("the token is in\n%s", out.String())
		}
		if asked < 4 || !strings.Contains(out.String(), "status 403") {
			t.Errorf("asked %d times, saw\n%s", asked, out.String())
		}
	})
}

func TestSecretHides(t *testing.T) {
	type inside struct {
		Open   Secret
		closed Secret
	}
	s := newSecret(canary)
	all := []any{s, &s, inside{s, s}, &inside{s, s}, []Secret{s}, map[string]Secret{"k": s}, Leaf{Key: s}, token{fixed: s}}
	for _, v := range all {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
				t.Errorf("%T printed by %s: %s", v, verb, text)
			}
		}
		text, err := json.Marshal(v)
		if err != nil || bytes.Contains(text, []byte(canary)) {
			t.Errorf("%T as JSON: %s, %v", v, text, err)
		}
		var out bytes.Buffer
		slog.New(slog.NewJSONHandler(&out, nil)).Info("secret", "value", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("secret", "value", v)
		if strings.Contains(out.String(), canary) {
			t.Errorf("%T logged: %s", v, out.String())
		}
	}
	if s.Reveal() != canary || (Secret{}).Reveal() != "" {
		t.Error("revealed something else")
	}
}

func TestTokenFile(t *testing.T) {
	t.Setenv("CONSUL_HTTP_TOKEN", "of the environment")
	file := filepath.Join(t.TempDir(), "token")
	token := newToken(file)
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := token.read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
	write("  \n")
	if _, err := token.read(); !errors.Is(err, errNoToken) {
		t.Errorf("an empty file: %v", err)
	}
	for _, text := range []string{"one", "two\n"} {
		write(text)
		if secret, err := token.read(); err != nil || secret.Reveal() != strings.TrimSpace(text) {
			t.Errorf("%q, %v after writing %q", secret.Reveal(), err, text)
		}
	}
	write(strings.Repeat("x", maxToken+1))
	if _, err := token.read(); err == nil || len(err.Error()) > 500 {
		t.Errorf("too large a file: %v", err)
	}
	t.Setenv("CONSUL_HTTP_TOKEN_FILE", file)
	write("three")
	if secret, err := newToken("").read(); err != nil || secret.Reveal() != "three" {
		t.Errorf("the file of the environment: %v", err)
	}
}

// TestTokenFileMissing: without its token Consul would say that there is
// nothing, so it is not asked.
func TestTokenFileMissing(t *testing.T) {
	t.Setenv("CONSUL_HTTP_TOKEN_FILE", filepath.Join(t.TempDir(), "token"))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := testSource(t, Config{}, func(http.ResponseWriter, *http.Request) { t.Error("asked without a token") })
		reports := 0
		s.Watch(ctx, web, func(r discovery.Report) {
			reports++
			if r.Err == nil || !strings.Contains(r.Err.Error(), "token file") {
				t.Errorf("reported %v, %v", r.Set, r.Err)
			}
		})
		if reports < 5 || reports > 30 {
			t.Errorf("%d reports in a minute", reports)
		}
	})
}
