// Command medqclient lists the runs of a MedQ-Engine server, then ingests a folder of images and waits until that has ended.
//
//	medqclient -server HOST:PORT -ca ca.pem -token-file operator.token -split pool /data/images
//
// The paths to ingest are paths of the embedding service. A typed error is told with what to do about it; exit code 1.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	controller "example.org/medqclient/gen/medq/controller/v1"
	embedding "example.org/medqclient/gen/medq/embedding/v1"
	operations "example.org/medqclient/gen/medq/operations/v1"
)

// bearer sends the token of a file with each call; it is read each time, because tokens are rotated.
type bearer struct{ file string }

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(b.file)
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, err
}

// RequireTransportSecurity makes gRPC refuse to send the token without TLS.
func (bearer) RequireTransportSecurity() bool { return true }

func main() {
	server := flag.String("server", "", "host:port of the controller")
	ca := flag.String("ca", "", "authority that signed the servers' certificates (PEM)")
	cert := flag.String("cert", "", "own certificate, if the server requires one (PEM)")
	key := flag.String("key", "", "its key (PEM)")
	tokenFile := flag.String("token-file", "", "file with the bearer token")
	id := flag.String("id", "example/go", "id of the operation: the same id is the same operation")
	split := flag.String("split", "pool", "pool, dev, test or replay")
	flag.Parse()
	if err := run(*server, *ca, *cert, *key, *tokenFile, *id, *split, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, told(err))
		os.Exit(1)
	}
}

func run(server, ca, cert, key, tokenFile, id, split, source string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	secured, err := transport(ca, cert, key)
	if err != nil {
		return err
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(secured),
		grpc.WithPerRPCCredentials(bearer{tokenFile}),
	}

	first, err := grpc.NewClient(server, options...)
	if err != nil {
		return err
	}
	defer first.Close()
	runs, err := controller.NewControllerServiceClient(first).ListRuns(ctx, &controller.ListRunsRequest{})
	if err != nil {
		return err
	}
	for _, each := range runs.Runs {
		fmt.Println("run", each.RunId, each.State)
	}
	endpoints, err := controller.NewControllerServiceClient(first).GetEndpoints(ctx, &controller.GetEndpointsRequest{})
	if err != nil {
		return err
	}

	second, err := grpc.NewClient(endpoints.Targets["embedding"], options...)
	if err != nil {
		return err
	}
	defer second.Close()
	_, err = embedding.NewEmbeddingServiceClient(second).StartIngest(ctx, &embedding.StartIngestRequest{
		OperationId: id, SourceUri: source, Split: split,
	})
	if err != nil {
		return err
	}
	return wait(ctx, operations.NewOperationsServiceClient(second), id)
}

func transport(ca, cert, key string) (credentials.TransportCredentials, error) {
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New(ca + " holds no certificate")
	}
	if cert != "" {
		own, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{own}
	}
	return credentials.NewTLS(config), nil
}

// wait asks for the operation until it has ended; a call waits for at most 10 s and answers as soon as something changed.
func wait(ctx context.Context, client operations.OperationsServiceClient, id string) error {
	var seen uint64
	for {
		answer, err := client.WaitOperation(ctx, &operations.WaitOperationRequest{
			OperationId: id, SeenRevision: seen, Wait: durationpb.New(10 * time.Second),
		})
		if err != nil {
			return err
		}
		operation := answer.Operation
		seen = operation.Revision
		switch operation.State {
		case operations.OperationState_OPERATION_STATE_SUCCEEDED:
			fmt.Println("done", operation.ResultUri)
			return nil
		case operations.OperationState_OPERATION_STATE_FAILED, operations.OperationState_OPERATION_STATE_CANCELLED:
			failure := operation.Failure
			return fmt.Errorf("%s %s: %s (%s)", operation.State, failure.GetReason(), failure.GetMessage(), failure.GetMetadata()["remedy"])
		default:
			fmt.Println("progress", operation.Progress.GetDone(), "of", operation.Progress.GetTotal(), operation.Progress.GetUnit())
		}
	}
}

// told says what an error means: the parts of google.rpc.ErrorInfo, which every typed error carries.
func told(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			data := info.Metadata
			return fmt.Sprintf("%s: %s (%s=%s) %s", info.Reason, data["message"], data["field"], data["value"], data["remedy"])
		}
	}
	return err.Error()
}
