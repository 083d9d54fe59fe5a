package main

// attache-control certificate: the webhook's certificate, made and renewed by a
// Job of the chart where there is no cert-manager.
//
//	Secret   ca.crt ca.key   ten years, made once       ──▶ caBundle of the webhook configuration
//	         tls.crt tls.key ninety days, renewed a third before its end, read again by the program
//
// The CA stays, so that a renewal cannot fall between two programs that know
// different ones.

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	// caKey is the Secret's key of the CA's private key, which no pod mounts.
	caKey = "ca.key"
)

// certificateFlags is the command line of attache-control certificate.
type certificateFlags struct {
	kubeconfig, namespace, secret, webhook, dns string
}

func certificate(args []string, stdout, stderr io.Writer) int {
	f := certificateFlags{}
	set := flag.NewFlagSet("attache-control certificate", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.kubeconfig, "kubeconfig", "", "`file` of the cluster; the pod's own by default")
	set.StringVar(&f.namespace, "namespace", "", "`namespace` of the Secret")
	set.StringVar(&f.secret, "secret", "", "`name` of the Secret that has the certificate; made if it is not there")
	set.StringVar(&f.dns, "dns", "", "`names` of the certificate, comma-separated")
	set.StringVar(&f.webhook, "webhook", "", "`name` of the MutatingWebhookConfiguration that is told the CA; none by default")
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, "attache-control certificate    make or renew the injector's certificate in a Secret\n\nFlags:\n")
		listFlags(stderr, set)
		return exitOK
	case err == nil && (f.namespace == "" || f.secret == "" || f.dns == "" || set.NArg() > 0):
		err = errors.New("want --namespace, --secret and --dns, and nothing else")
	}
	if err != nil {
		fmt.Fprintf(stderr, "attache-control certificate: %v\nRun 'attache-control certificate --help' for the flags.\n", err)
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := f.run(ctx, stdout); err != nil {
		fmt.Fprintf(stderr, "attache-control certificate: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func (f *certificateFlags) run(ctx context.Context, stdout io.Writer) error {
	config, err := clientcmd.BuildConfigFromFlags("", f.kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	// Two Jobs may do the same at once: whoever comes second reads again.
	err = retry.OnError(retry.DefaultBackoff, func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }, func() error {
		return f.renew(ctx, client, stdout)
	})
	if err != nil || f.webhook == "" {
		return err
	}
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error { return f.tell(ctx, client, stdout) })
}

// renew makes what is missing in the Secret, or about to end.
func (f *certificateFlags) renew(ctx context.Context, client kubernetes.Interface, stdout io.Writer) error {
	secrets := client.CoreV1().Secrets(f.namespace)
	s, err := secrets.Get(ctx, f.secret, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	if missing {
		s = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: f.secret}, Type: corev1.SecretTypeOpaque}
	}
	what, err := renewed(s, strings.Split(f.dns, ","), time.Now())
	switch {
	case err != nil:
		return err
	case what == "":
		fmt.Fprintf(stdout, "secret %s/%s is good\n", f.namespace, f.secret)
		return nil
	case missing:
		_, err = secrets.Create(ctx, s, metav1.CreateOptions{})
	default:
		_, err = secrets.Update(ctx, s, metav1.UpdateOptions{})
	}
	if err == nil {
		fmt.Fprintf(stdout, "secret %s/%s: %s\n", f.namespace, f.secret, what)
	}
	return err
}

// tell writes the CA into every webhook of the configuration.
func (f *certificateFlags) tell(ctx context.Context, client kubernetes.Interface, stdout io.Writer) error {
	s, err := client.CoreV1().Secrets(f.namespace).Get(ctx, f.secret, metav1.GetOptions{})
	if err != nil {
		return err
	}
	configurations := client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	c, err := configurations.Get(ctx, f.webhook, metav1.GetOptions{})
	if err != nil {
		return err
	}
	told := false
	for i := range c.Webhooks {
		w := &c.Webhooks[i].ClientConfig
		if !bytes.Equal(w.CABundle, s.Data["ca.crt"]) {
			w.CABundle, told = s.Data["ca.crt"], true
		}
	}
	if !told {
		return nil
	}
	if _, err = configurations.Update(ctx, c, metav1.UpdateOptions{}); err == nil {
		fmt.Fprintf(stdout, "webhook configuration %s knows the CA\n", f.webhook)
	}
	return err
}

// renewed puts a CA and a certificate into the Secret where there is none that is
// good for a while, and says what it has made.
func renewed(s *corev1.Secret, names []string, now time.Time) (what string, err error) {
	ca, err := tls.X509KeyPair(s.Data["ca.crt"], s.Data[caKey])
	if err != nil || endsSoon(ca.Leaf, now, caLife) {
		if ca, err = issue(&x509.Certificate{
			Subject: pkix.Name{CommonName: "attache injector CA"}, NotAfter: now.Add(caLife),
			IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		}, nil, now); err != nil {
			return "", err
		}
		what = "a new CA and certificate"
	}
	leaf, err := tls.X509KeyPair(s.Data["tls.crt"], s.Data["tls.key"])
	if what == "" && err == nil && !endsSoon(leaf.Leaf, now, leafLife) && slices.Equal(leaf.Leaf.DNSNames, names) && leaf.Leaf.CheckSignatureFrom(ca.Leaf) == nil {
		return "", nil
	}
	if what == "" {
		what = "a new certificate"
	}
	if leaf, err = issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &ca, now); err != nil {
		return "", err
	}
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for prefix, pair := range map[string]tls.Certificate{"ca": ca, "tls": leaf} {
		key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			return "", err
		}
		s.Data[prefix+".crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw})
		s.Data[prefix+".key"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	}
	return what, nil
}

// endsSoon says that less than a third of a life is left.
func endsSoon(c *x509.Certificate, now time.Time, life time.Duration) bool {
	return c.NotAfter.Sub(now) < life/3
}

// issue makes a certificate and its key, signed by ca or by itself.
func issue(template *x509.Certificate, ca *tls.Certificate, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	template.NotBefore = now.Add(-time.Hour) // clocks differ
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(raw)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}, err
}
