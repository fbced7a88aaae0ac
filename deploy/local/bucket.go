package local

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"nearcast/deploy/plan"
)

// bucketName is the bucket of the S3 origin.
const bucketName = "content"

const sampleObject = "hello.txt"

// fillBucket makes the bucket and loads the content into it: once for a directory.
func (l *Lab) fillBucket(ctx context.Context) error {
	client, err := minio.New("127.0.0.1:"+l.layout.Port(plan.PortS3Origin), &minio.Options{
		Creds:  credentials.NewStaticV4(l.secrets.S3.AccessKeyID, l.secrets.S3.SecretAccessKey, ""),
		Region: "us-east-1",
	})
	if err != nil {
		return err
	}
	exists, err := client.BucketExists(ctx, bucketName)
	if err != nil {
		return fmt.Errorf("looking for the bucket: %w", err)
	}
	if !exists {
		if err := client.MakeBucket(ctx, bucketName, minio.MakeBucketOptions{}); err != nil {
			return fmt.Errorf("making the bucket: %w", err)
		}
	}
	if l.cfg.S3Content != "" {
		return uploadTree(ctx, client, l.cfg.S3Content)
	}
	const hello = "Hello from the S3 origin.\n"
	_, err = client.PutObject(ctx, bucketName, sampleObject, strings.NewReader(hello), int64(len(hello)),
		minio.PutObjectOptions{ContentType: "text/plain; charset=utf-8"})
	return err
}

// uploadTree puts every regular file below root into the bucket, eight at a time.
func uploadTree(ctx context.Context, client *minio.Client, root string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		group.Go(func() error {
			_, err := client.FPutObject(ctx, bucketName, name, filepath.Join(root, name), minio.PutObjectOptions{DisableMultipart: true})
			if err != nil {
				return fmt.Errorf("loading %s: %w", name, err)
			}
			return nil
		})
		return ctx.Err()
	})
	if groupErr := group.Wait(); groupErr != nil {
		return groupErr
	}
	return err
}
