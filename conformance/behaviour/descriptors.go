package behaviour

// Descriptors of services are files too: one that is called NAME.pb is written as the text of a
// google.protobuf.FileDescriptorSet, and stands in the directory as bytes.

import (
	"strings"

	_ "google.golang.org/genproto/googleapis/api/annotations" // so that google.api.http is known
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// content is what a file of a script has.
func content(name, text string) (string, error) {
	if !strings.HasSuffix(name, ".pb") {
		return text, nil
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := prototext.Unmarshal([]byte(text), set); err != nil {
		return "", err
	}
	data, err := proto.Marshal(set)
	return string(data), err
}
