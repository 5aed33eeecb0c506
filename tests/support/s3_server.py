"""An S3 server on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


def objects(address: str) -> int:
    """How many objects its bucket has; of more than 1,000 no more are counted."""
    import boto3

    return boto3.client("s3", endpoint_url=address, **KEYS).list_objects_v2(Bucket="covidqu")["KeyCount"]


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address; it has a bucket `covidqu`."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    try:
        boto3.client("s3", endpoint_url=address, **KEYS).create_bucket(Bucket="covidqu")
        yield address
    finally:
        server.stop()
