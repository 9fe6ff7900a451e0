"""Makes MLflow's bucket in the S3 store, unless it is there; waits for a store that starts."""

import os
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "mlflow"
WAIT_S = 60.0


def make_bucket(endpoint: str, wait_s: float = WAIT_S) -> None:
    """Makes it.

    Raises:
        BotoCoreError, ClientError: the store did not answer within the time, or refused.
    """
    store = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            if BUCKET not in [each["Name"] for each in store.list_buckets().get("Buckets", [])]:
                store.create_bucket(Bucket=BUCKET)
            return
        except (BotoCoreError, ClientError) as error:
            refused = isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
            if refused or time.monotonic() > deadline:
                raise
            time.sleep(0.5)


if __name__ == "__main__":
    make_bucket(os.environ["MLFLOW_S3_ENDPOINT_URL"])
    sys.stderr.write(f"bucket {BUCKET} is there\n")
