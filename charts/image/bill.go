package main

// What a program is made of, in SPDX 2.3's JSON: every module that the linker
// took, with the checksum of go.sum.

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

type document struct {
	SPDXVersion   string      `json:"spdxVersion"`
	DataLicense   string      `json:"dataLicense"`
	SPDXID        string      `json:"SPDXID"`
	Name          string      `json:"name"`
	Namespace     string      `json:"documentNamespace"`
	CreationInfo  creation    `json:"creationInfo"`
	Packages      []component `json:"packages"`
	Relationships []partOf    `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type component struct {
	SPDXID           string     `json:"SPDXID"`
	Name             string     `json:"name"`
	VersionInfo      string     `json:"versionInfo"`
	DownloadLocation string     `json:"downloadLocation"`
	FilesAnalyzed    bool       `json:"filesAnalyzed"`
	Checksums        []checksum `json:"checksums,omitempty"`
	ExternalRefs     []external `json:"externalRefs"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type external struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type partOf struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

// bill lists the parts of a built program.
func bill(name, version string, binary []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	sum := sha256.Sum256(binary)
	d := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", Name: name + "-" + version,
		Namespace:    "https://github.com/attache-mesh/attache/spdx/" + name + "/" + hex.EncodeToString(sum[:]),
		CreationInfo: creation{epoch.Format("2006-01-02T15:04:05Z"), []string{"Tool: attache-image"}},
	}
	const root = "SPDXRef-program"
	d.Packages = append(d.Packages, component{
		SPDXID: root, Name: name, VersionInfo: version, DownloadLocation: "NOASSERTION",
		Checksums:    []checksum{{"SHA256", hex.EncodeToString(sum[:])}},
		ExternalRefs: []external{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + info.Main.Path + "@" + version}},
	})
	d.Relationships = append(d.Relationships, partOf{d.SPDXID, "DESCRIBES", root})
	d.part("stdlib", strings.TrimPrefix(info.GoVersion, "go"), "")
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		d.part(m.Path, m.Version, m.Sum)
	}
	return json.MarshalIndent(d, "", " ")
}

// part adds a module; sum is go.sum's, a SHA-256 of the list of its files' hashes.
func (d *document) part(path, version, sum string) {
	c := component{
		SPDXID: fmt.Sprintf("SPDXRef-module-%d", len(d.Packages)), Name: path, VersionInfo: version, DownloadLocation: "NOASSERTION",
		ExternalRefs: []external{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + version}},
	}
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:")); err == nil && len(raw) == sha256.Size {
		c.Checksums = []checksum{{"SHA256", hex.EncodeToString(raw)}}
	}
	d.Packages = append(d.Packages, c)
	d.Relationships = append(d.Relationships, partOf{"SPDXRef-program", "CONTAINS", c.SPDXID})
}
